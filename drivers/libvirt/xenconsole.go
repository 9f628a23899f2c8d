package libvirt

import (
	"context"
	"errors"

	golibvirt "github.com/digitalocean/go-libvirt"

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
	switch logs, err := d.xenLogs(ctx); {
	case err != nil:
		return failed(f, err)
	case logs == nil:
		f.Code, f.Severity, f.Detail = "consoles_unrecorded", drivers.SeverityWarning, "there is no such folder: the consoles of PV guests are not recorded"
		f.Fix = "Make the folder, put XENCONSOLED_ARGS=--log=guest into /etc/default/xen, and restart the host or xenconsoled."
	}
	return f
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
	return consolePlace{pool: logs, names: []string{"guest-" + dom.Name + ".log"}, later: true}, err
}
