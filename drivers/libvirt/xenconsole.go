package libvirt

import (
	"context"
	"errors"
	"fmt"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
)

// xenLogFolder is where Xen's own daemon records consoles, when its arguments
// have --log=guest. Nothing makes the folder on hosts that do without.
const xenLogFolder = "/var/log/xen/console"

// xenLogs is the folder as libvirt shows it, nil where there is none.
func (d *Driver) xenLogs(ctx context.Context) (*storage.Pool, error) {
	pool, err := d.storage.Folder(ctx, d.config.Pool+"-console", xenLogFolder)
	if errors.Is(err, drivers.ErrNotFound) {
		return nil, nil
	}
	return pool, err
}

func (d *Driver) diagnoseXenLogs(ctx context.Context) drivers.Finding {
	f := drivers.Finding{Code: "consoles_ok", Severity: drivers.SeverityOK, Subject: xenLogFolder, Detail: "Xen's daemon records consoles here, where its arguments say so"}
	logs, err := d.xenLogs(ctx)
	var longest storage.Dated
	if logs != nil {
		longest, err = longestLog(ctx, logs)
	}
	switch {
	case err != nil:
		return failed(f, err)
	case longest.Size > longLog:
		f.Code, f.Severity, f.Detail = "consoles_unbounded", drivers.SeverityWarning, fmt.Sprintf("%s has %d MiB", longest.Vol.Name, longest.Size>>20)
		f.Fix = "Bound what guests print: systemctl enable --now grapevine-xen-consoles.timer"
	case logs == nil:
		f.Code, f.Severity, f.Detail = "consoles_unrecorded", drivers.SeverityWarning, "there is no such folder: the consoles of PV guests are not recorded"
		f.Fix = "Make the folder, put XENCONSOLED_ARGS=--log=guest into /etc/default/xen, and restart the host or xenconsoled."
	}
	return f
}

// longLog is more than a log becomes where each minute one looks after it.
const longLog = 64 << 20

func longestLog(ctx context.Context, logs *storage.Pool) (longest storage.Dated, err error) {
	if err := logs.Refresh(ctx); err != nil {
		return longest, err
	}
	names, err := logs.Names(ctx)
	if err != nil {
		return longest, err
	}
	for _, name := range names {
		log, err := logs.Dated(ctx, name)
		if errors.Is(err, drivers.ErrNotFound) {
			continue // it is gone since
		}
		if err != nil {
			return longest, err
		}
		if log.Size > longest.Size {
			longest = log
		}
	}
	return longest, nil
}

// recordedSerial gives an HVM guest a serial port that QEMU records in a file.
// libvirt's own word for that makes QEMU write to where it last was, and not to
// the file's end: it could not be made shorter meanwhile.
func recordedSerial(file string) *libvirtxml.DomainXenCommandline {
	args := &libvirtxml.DomainXenCommandline{}
	for _, arg := range []string{"-chardev", "file,id=grapevine,append=on,path=" + strings.ReplaceAll(file, ",", ",,"), "-serial", "chardev:grapevine"} {
		args.Args = append(args.Args, libvirtxml.DomainXenCommandlineArg{Value: arg})
	}
	return args
}

// xenConsole finds the log of a PV guest's console with Xen's, and that of an
// HVM guest's serial port in our own pool.
func xenConsole(ctx context.Context, d *Driver, dom golibvirt.Domain) (consolePlace, error) {
	var kind string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		kind, err = rpc.DomainGetOsType(dom)
		return err
	})
	if err != nil {
		return consolePlace{}, err
	}
	if kind == "hvm" {
		return poolConsole(ctx, d, dom)
	}
	logs, err := d.xenLogs(ctx)
	if err == nil && logs == nil {
		err = drivers.ErrUnsupported
	}
	return consolePlace{pool: logs, names: xenLogParts(dom), later: true}, err
}

func xenLogParts(dom golibvirt.Domain) []string {
	return logParts("guest-"+dom.Name+".log", byLogrotate)
}

// xenDiscardLog deletes what Xen's daemon has recorded. It makes a file for each
// guest that runs, also for an HVM guest, which prints elsewhere.
func xenDiscardLog(ctx context.Context, d *Driver, dom golibvirt.Domain) error {
	logs, err := d.xenLogs(ctx)
	if err != nil || logs == nil {
		return err
	}
	if err := logs.Refresh(ctx); err != nil {
		return err
	}
	return logs.Delete(ctx, xenLogParts(dom)...)
}
