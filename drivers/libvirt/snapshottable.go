package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Snapshottable implements drivers.SnapshotJudge.
func (d *Driver) Snapshottable(ctx context.Context, id fleet.InstanceID) error {
	dom, mark, err := d.find(ctx, id)
	switch {
	case err != nil:
	case mark == nil:
		err = drivers.ErrForeign
	default:
		err = d.snapshottable(ctx, dom)
	}
	if err != nil {
		return fmt.Errorf("take snapshot of machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) snapshottable(ctx context.Context, dom golibvirt.Domain) error {
	var text string
	var version uint64
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		if text, err = rpc.DomainGetXMLDesc(dom, 0); err != nil {
			return err
		}
		version, err = rpc.ConnectGetLibVersion()
		return err
	})
	if err != nil {
		return err
	}
	return holdsSnapshots(text, version)
}

// snapshotsUEFI is the version from which libvirt keeps the variables of UEFI
// with a snapshot, where they are in a qcow2 file. Before, it refuses a machine
// that runs, and up to 9.1 takes one of a stopped machine without them.
const snapshotsUEFI = 10_010_000

// holdsSnapshots says why a domain cannot have internal snapshots. They lie in
// each disk that it can write to, and in what its firmware writes to.
func holdsSnapshots(text string, version uint64) error {
	var seen struct {
		OS struct {
			Firmware string `xml:"firmware,attr"`
			Loader   struct {
				Type string `xml:"type,attr"`
			} `xml:"loader"`
			NVRAM struct {
				Format string `xml:"format,attr"`
			} `xml:"nvram"`
		} `xml:"os"`
		Disks []struct {
			Device string `xml:"device,attr"`
			Driver struct {
				Type string `xml:"type,attr"`
			} `xml:"driver"`
			Target struct {
				Dev string `xml:"dev,attr"`
			} `xml:"target"`
			ReadOnly *struct{} `xml:"readonly"`
		} `xml:"devices>disk"`
	}
	if err := xml.Unmarshal([]byte(text), &seen); err != nil {
		return fmt.Errorf("parse domain XML: %w", err)
	}
	uefi := seen.OS.Firmware == "efi" || seen.OS.Loader.Type == "pflash"
	if uefi && (seen.OS.NVRAM.Format != "qcow2" || version < snapshotsUEFI) {
		return fmt.Errorf("%w: a snapshot would lack the variables of its UEFI firmware; libvirt keeps them from 10.10 on, where they are in a qcow2 file", drivers.ErrUnsupported)
	}
	held := false
	for _, disk := range seen.Disks {
		switch {
		case disk.Device == "cdrom" || disk.Device == "floppy" || disk.ReadOnly != nil:
		case disk.Driver.Type != "qcow2":
			return drivers.Unfit("its disk %s is not qcow2, and a snapshot lies in the disks", disk.Target.Dev)
		default:
			held = true
		}
	}
	if !held {
		return drivers.Unfit("it has no disk, and a snapshot lies in the disks")
	}
	return nil
}
