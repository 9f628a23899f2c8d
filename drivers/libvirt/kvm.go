package libvirt

import (
	"context"
	"fmt"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// kvmFlavour is KVM, also where its guests run under QEMU's emulation, for
// they are the same machines, only slow. The trait accelerator-tcg says so.
func kvmFlavour() *flavour {
	return &flavour{
		hypervisor: fleet.KVM,
		sockets:    []string{"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"},
		version: func(kind string, number uint64) string {
			return fmt.Sprintf("%s %d.%d.%d", kind, number/1e6, number/1e3%1e3, number%1e3)
		},
		features: kvmFeatures,
		guests:   accelerate,
		advise:   adviseAccelerator,
		hardware: func(_ context.Context, _ *Driver, caps *capabilities) (string, error) {
			return hardware(caps.Host.UUID, smbiosPath, machineIDPath), nil
		},
		memory:   kernelMemory,
		usage:    qemuUsage,
		platform: kvmPlatform,
		bus:      "virtio", disks: "vd", card: "virtio", blocks: "qemu", locksSeed: true,
		records:  func(blueprint) bool { return false },
		rotated:  byVirtlogd,
		console:  poolConsole,
		screen:   qemuScreen,
		asks:     true,
		shutdown: golibvirt.DomainShutdownAcpiPowerBtn,
		reboot:   golibvirt.DomainRebootAcpiPowerBtn,
		resets:   true,
		grows:    true,
		headroom: true,
		tagging:  11_000_000,
		rescues:  func(*libvirtxml.Domain, *fleet.Image) error { return nil },
		rescue:   (*definition).bootDisk,
		undefine: golibvirt.DomainUndefineManagedSave | golibvirt.DomainUndefineNvram |
			golibvirt.DomainUndefineSnapshotsMetadata | golibvirt.DomainUndefineCheckpointsMetadata,
	}
}

// guestAgent is the name by which QEMU's guest agent knows its channel.
const guestAgent = "org.qemu.guest_agent.0"

func kvmFeatures(ctx context.Context, d *Driver, caps *capabilities, networks wires) ([]drivers.Feature, error) {
	features := []drivers.Feature{
		drivers.FeatureBootDisk, drivers.FeatureBootKernel, drivers.FeatureCloudInit, drivers.FeatureConsole, drivers.FeatureConsoleLog,
		drivers.FeatureCopyDisks, drivers.FeatureDevices, drivers.FeatureGrowRunning, drivers.FeatureImageSource, drivers.FeaturePause,
		drivers.FeatureReadDisks, drivers.FeatureRebuild, drivers.FeatureRescue, drivers.FeatureResize, drivers.FeatureResizeLive, drivers.FeatureSnapshot,
		drivers.FeatureUsage, drivers.FeatureVNC,
	}
	if hasDrives(caps.Host.CPU.Arch) {
		features = append(features, drivers.FeatureBootISO)
	}
	firmwares, err := d.firmwares(ctx, caps)
	if err != nil {
		return nil, err
	}
	if slices.Contains(firmwares, "efi") {
		features = append(features, drivers.FeatureUEFI)
	}
	if networks.tag() {
		features = append(features, drivers.FeatureVLAN)
	}
	return features, nil
}

// machineOf is the type of machine that guests get, libvirt's choice where it
// is nothing.
func machineOf(arch string) golibvirt.OptString {
	if arch == "x86_64" {
		return golibvirt.OptString{"q35"}
	}
	return nil
}

// accelerate decides between KVM and emulation. Auto goes by what libvirt says
// and not by /dev/kvm, which may exist and still boot no guest: QEMU must offer
// KVM, and libvirt's account of the processor must have the extension that KVM
// needs.
func accelerate(ctx context.Context, d *Driver, caps *capabilities) (guests, error) {
	accelerated := func(how, why string) guests {
		return guests{how: how, traits: []string{"accelerator-" + how}, why: why}
	}
	switch {
	case d.config.Accelerator != Auto:
		return accelerated(d.config.Accelerator, "the configuration says so"), nil
	case !caps.offers("kvm"):
		return accelerated(TCG, "libvirt offers no KVM on this host: /dev/kvm is absent or QEMU may not open it"), nil
	case !caps.needsExtension():
		return accelerated(KVM, "libvirt offers KVM"), nil
	}
	expanded, err := d.expandCPU(ctx, caps)
	switch {
	case session.Unanswered(err):
		return guests{}, fmt.Errorf("expand the host's processor: %w", err)
	case err != nil || hasExtension(expanded):
		return accelerated(KVM, "libvirt offers KVM"), nil
	default:
		return accelerated(TCG, "libvirt offers KVM, but the processor that it sees has neither vmx nor svm, so that no guest would boot"), nil
	}
}

func adviseAccelerator(d *Driver, caps *capabilities, g guests) drivers.Finding {
	f := drivers.Finding{Code: "accelerator_ok", Severity: drivers.SeverityOK, Subject: "accelerator"}
	switch {
	case g.how == KVM && !caps.offers("kvm"):
		f.Code, f.Severity = "kvm_unusable", drivers.SeverityError
		f.Detail = "the configuration says kvm, and libvirt offers no KVM on this host"
		f.Fix = "Switch virtualization on in the firmware and load kvm_intel or kvm_amd, or set accelerator to tcg."
	case g.how == TCG && d.config.Accelerator == Auto:
		f.Code, f.Severity = "kvm_unusable", drivers.SeverityWarning
		f.Detail = "guests run under emulation, ten times slower: " + g.why
		f.Fix = "Switch virtualization on in the firmware (in a virtual machine: nested virtualization), or set accelerator to tcg if that is meant."
	default:
		f.Detail = fmt.Sprintf("guests run with %s: %s", g.how, g.why)
	}
	return f
}

// kvmPlatform sets what depends on the accelerator and on the machine's
// architecture.
func kvmPlatform(dom *libvirtxml.Domain, b blueprint) {
	dom.OS.Type.Arch = b.arch
	if b.arch == "x86_64" {
		dom.OS.Type.Machine = machineOf(b.arch)[0]
		dom.Features = &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}}
	}
	port := uint(0)
	dom.Devices.Serials = []libvirtxml.DomainSerial{{
		Source: &libvirtxml.DomainChardevSource{Pty: &libvirtxml.DomainChardevSourcePty{}},
		Target: &libvirtxml.DomainSerialTarget{Port: &port},
		Log:    &libvirtxml.DomainChardevLog{File: b.console, Append: "on"},
	}}
	dom.Devices.RNGs = []libvirtxml.DomainRNG{{
		Model:   "virtio",
		Backend: &libvirtxml.DomainRNGBackend{Random: &libvirtxml.DomainRNGBackendRandom{Device: "/dev/urandom"}},
	}}
	dom.Devices.MemBalloon = &libvirtxml.DomainMemBalloon{Model: "virtio"}
	addScreen(dom.Devices, b.arch)
	dom.Devices.Controllers = portsXML(len(b.disks) + len(b.cards))
	dom.Devices.Channels = []libvirtxml.DomainChannel{{
		Source: &libvirtxml.DomainChardevSource{UNIX: &libvirtxml.DomainChardevSourceUNIX{}},
		Target: &libvirtxml.DomainChannelTarget{VirtIO: &libvirtxml.DomainChannelTargetVirtIO{Name: guestAgent}},
	}}
	kvmDrives(dom, b)
	if b.spec.Firmware == fleet.UEFI {
		uefi(dom)
	}
	if b.accelerator == KVM {
		dom.Type = "kvm"
		dom.CPU = &libvirtxml.DomainCPU{Mode: "host-model"}
		return
	}
	dom.Type = "qemu"
	if b.arch == "x86_64" {
		// QEMU's richer models have faults under emulation that its plainest
		// one does not reach.
		dom.CPU = &libvirtxml.DomainCPU{Mode: "custom", Match: "exact", Model: &libvirtxml.DomainCPUModel{Value: "qemu64"}}
	}
}

// kernelMemory is the memory that the host's kernel accounts for, all of it
// for guests: what the host itself needs, the agent's configuration says.
// NodeGetInfo says what libvirt found at boot, and lacks what was plugged in
// since: half of it and more on some virtual machines. libvirt's mock has
// nothing else.
func kernelMemory(ctx context.Context, d *Driver) (total, reserved uint64, err error) {
	all := int32(golibvirt.NodeMemoryStatsAllCells)
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		_, count, err := rpc.NodeGetMemoryStats(0, all, 0)
		if session.IsCode(err, golibvirt.ErrNoSupport) {
			_, total, _, _, _, _, _, _, err = rpc.NodeGetInfo()
			return err
		}
		if err != nil {
			return err
		}
		stats, _, err := rpc.NodeGetMemoryStats(count, all, 0)
		for _, s := range stats {
			if s.Field == "total" {
				total = s.Value
			}
		}
		if total == 0 && err == nil {
			_, total, _, _, _, _, _, _, err = rpc.NodeGetInfo()
		}
		return err
	})
	return total, 0, err
}
