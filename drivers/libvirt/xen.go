package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// xenFlavour is Xen, through libvirt's libxl driver. That has no snapshots, no
// reset, and no word for how many seconds of a reboot have passed; a guest that
// reboots is a new domain.
func xenFlavour() *flavour {
	return &flavour{
		hypervisor: fleet.Xen,
		sockets:    []string{"/run/libvirt/libvirt-sock", "/run/libvirt/virtxend-sock"},
		// libxl does not tell the last part of the version.
		version: func(kind string, number uint64) string {
			return fmt.Sprintf("%s %d.%d", kind, number/1e6, number/1e3%1e3)
		},
		features: xenFeatures,
		guests:   xenGuests,
		advise:   adviseXen,
		hardware: xenHardware,
		memory:   grantableMemory,
		usage:    xenUsage,
		platform: xenPlatform,
		bus:      "xen", disks: "xvd", blocks: "phy",
		records:    func(b blueprint) bool { return b.kernel != "" },
		rotated:    byLogrotate,
		console:    xenConsole,
		screen:     xenScreen,
		discardLog: xenDiscardLog,
		lingers:    true,
		rescues:    xenRescues,
		rescue:     xenRescue,
		undefine:   golibvirt.DomainUndefineManagedSave,
	}
}

// xenFeatures: a kernel boots as a PV guest, a disk as an HVM one, which takes
// a processor that can.
func xenFeatures(ctx context.Context, d *Driver, caps *capabilities, networks wires) ([]drivers.Feature, error) {
	features := []drivers.Feature{
		drivers.FeatureCloudInit, drivers.FeatureConsole, drivers.FeatureCopyDisks, drivers.FeatureDevices, drivers.FeatureImageSource, drivers.FeaturePause,
		drivers.FeatureReadDisks, drivers.FeatureRebuild, drivers.FeatureRescue, drivers.FeatureResize, drivers.FeatureUsage,
	}
	if caps.runs("xen") {
		features = append(features, drivers.FeatureBootKernel)
	}
	if caps.runs("hvm") {
		features = append(features, drivers.FeatureBootDisk, drivers.FeatureVNC)
	}
	if networks.tag() {
		features = append(features, drivers.FeatureVLAN)
	}
	logs, err := d.xenLogs(ctx)
	if logs != nil {
		features = append(features, drivers.FeatureConsoleLog)
	}
	return features, err
}

// xenGuests are the kinds of guests that the host takes, each a trait.
func xenGuests(_ context.Context, _ *Driver, caps *capabilities) (guests, error) {
	g := guests{how: "xen", why: "libvirt offers no kind of guest"}
	for _, kind := range []struct{ os, trait string }{{"xen", "xen-pv"}, {"xenpvh", "xen-pvh"}, {"hvm", "xen-hvm"}} {
		if !caps.runs(kind.os) {
			continue
		}
		g.traits = append(g.traits, kind.trait)
		g.why = "images with a kernel boot as PV guests"
	}
	if caps.runs("hvm") {
		g.why += ", images with a disk as HVM guests"
	}
	return g, nil
}

func adviseXen(_ *Driver, caps *capabilities, g guests) drivers.Finding {
	f := drivers.Finding{Code: "accelerator_ok", Severity: drivers.SeverityOK, Subject: "guests", Detail: g.why}
	if !caps.runs("hvm") {
		f.Code, f.Severity = "hvm_unusable", drivers.SeverityWarning
		f.Detail = "libvirt offers no HVM guests: images without a kernel of their own do not boot here"
		f.Fix = "Switch virtualization on in the firmware (in a virtual machine: nested virtualization); xl info should have hvm among virt_caps."
	}
	return f
}

// xenHardware is the UUID of the machine's SMBIOS as libvirt read it, for its
// capabilities have none.
func xenHardware(ctx context.Context, d *Driver, _ *capabilities) (string, error) {
	var text string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		text, err = rpc.ConnectGetSysinfo(0)
		return err
	})
	if session.Unanswered(err) {
		return "", err
	}
	if id := parseSysinfo(text); err == nil && id != "" {
		return id, nil
	}
	return hardware("", smbiosPath, machineIDPath), nil
}

// parseSysinfo returns the system's UUID, empty where there is none.
func parseSysinfo(text string) string {
	var seen struct {
		Entries []struct {
			Name string `xml:"name,attr"`
			Text string `xml:",chardata"`
		} `xml:"system>entry"`
	}
	if xml.Unmarshal([]byte(text), &seen) != nil {
		return ""
	}
	for _, e := range seen.Entries {
		if e.Name != "uuid" {
			continue
		}
		if id, err := fleet.ParseUUID(e.Text); err == nil && !id.IsZero() {
			return id.String()
		}
	}
	return ""
}

// xenPlatform makes a PV guest of a kernel, and an HVM guest, with all that a
// PC has, of a disk. A PV guest's console is recorded by Xen; an HVM guest's
// QEMU appends what its serial port says to our file.
func xenPlatform(dom *libvirtxml.Domain, b blueprint) {
	dom.Type = "xen"
	defer addXenSeed(dom, b)
	if b.kernel != "" {
		dom.OS.Type = &libvirtxml.DomainOSType{Type: "linux", Arch: b.arch, Machine: "xenpv"}
		dom.Devices.Consoles = []libvirtxml.DomainConsole{{
			Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
			Target: &libvirtxml.DomainConsoleTarget{Type: "xen"},
		}}
		return
	}
	dom.OS.Type = &libvirtxml.DomainOSType{Type: "hvm", Arch: b.arch, Machine: "xenfv"}
	dom.Features = &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}, PAE: &libvirtxml.DomainFeature{}}
	dom.XenCommandline = recordedSerial(b.console)
	addXenScreen(dom.Devices)
	xenDisks(dom, b)
}
