package libvirt

import (
	"errors"
	"strings"
	"testing"

	"grapevine/drivers"
)

func TestSnapshotsLieInQcow2Alone(t *testing.T) {
	const (
		bios = `<os><type>hvm</type></os>`
		efi  = `<os firmware="efi"><loader readonly="yes" type="pflash">/code.fd</loader><nvram>/vars.fd</nvram></os>`
		new  = `<os firmware="efi"><loader type="pflash" format="qcow2">/code</loader><nvram format="qcow2">/vars</nvram></os>`
		disk = `<disk device="disk"><driver type="qcow2"/><target dev="vda"/></disk>`
		raw  = `<disk device="disk"><driver type="raw"/><target dev="vdb"/></disk>`
		seed = `<disk device="disk"><driver type="raw"/><target dev="vdc"/><readonly/></disk><disk device="cdrom"><driver type="raw"/><target dev="sda"/></disk>`
	)
	for _, tt := range []struct {
		name, os, disks string
		version         uint64
		want            string // in the refusal; empty for none
	}{
		{"BIOS and qcow2", bios, disk + seed, 9_000_000, ""},
		{"UEFI before libvirt knew how", efi, disk, 9_000_000, "UEFI firmware; libvirt keeps them from 10.10"},
		{"the firmware named by its loader", strings.Replace(efi, ` firmware="efi"`, "", 1), disk, 10_009_000, "variables of its UEFI firmware"},
		{"UEFI with raw variables", efi, disk, 11_000_000, "in a qcow2 file"},
		{"UEFI with qcow2 variables", new, disk, 11_000_000, ""},
		{"UEFI with qcow2 variables, and a libvirt that does not keep them", new, disk, 9_002_000, "from 10.10 on"},
		{"a raw disk", bios, disk + raw, 9_000_000, "vdb is not qcow2"},
		{"no disk but the seed", bios, seed, 9_000_000, "no disk"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := holdsSnapshots("<domain>"+tt.os+"<devices>"+tt.disks+"</devices></domain>", tt.version)
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, drivers.ErrUnsupported) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
