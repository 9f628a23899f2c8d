package libvirt

import (
	"context"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// socketPaths are where the daemons of this flavour listen: libvirtd, or the
// modular daemon that replaces it on newer systems.
var socketPaths = []string{"/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"}

// hypervisor is what this flavour is in the fleet's words: KVM also where its
// guests run under emulation, for they are the same machines, only slow. The
// trait accelerator-tcg says so.
const hypervisor = fleet.KVM

// features of this flavour.
func features() []drivers.Feature {
	return []drivers.Feature{
		drivers.FeatureBootDisk, drivers.FeatureBootKernel, drivers.FeatureConsoleLog, drivers.FeaturePause,
		drivers.FeatureImageSource, drivers.FeatureResize, drivers.FeatureSnapshot,
	}
}

// versionOf puts libvirt's number into words: 7002022 is 7.2.22.
func versionOf(kind string, number uint64) string {
	return fmt.Sprintf("%s %d.%d.%d", kind, number/1e6, number/1e3%1e3, number%1e3)
}

// accelerate decides how guests run here, and says why in one sentence. Auto
// goes by what libvirt says and not by /dev/kvm, which may exist and still
// boot no guest: QEMU must offer KVM, and libvirt's account of the processor
// must have the extension that KVM needs.
func (d *Driver) accelerate(ctx context.Context, caps *capabilities) (accelerator, why string, err error) {
	switch {
	case d.config.Accelerator != Auto:
		return d.config.Accelerator, "the configuration says so", nil
	case !caps.offers("kvm"):
		return TCG, "libvirt offers no KVM on this host: /dev/kvm is absent or QEMU may not open it", nil
	case !caps.needsExtension():
		return KVM, "libvirt offers KVM", nil
	}
	var expanded string
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		expanded, err = rpc.ConnectBaselineCPU([]string{caps.hostCPU()}, golibvirt.ConnectBaselineCPUExpandFeatures)
		return err
	})
	if session.Unanswered(err) {
		return "", "", fmt.Errorf("expand the host's processor: %w", err)
	}
	switch {
	case err != nil || hasExtension(expanded):
		return KVM, "libvirt offers KVM", nil
	default:
		return TCG, "libvirt offers KVM, but the processor that it sees has neither vmx nor svm, so that no guest would boot", nil
	}
}

// platform sets what of a domain depends on the accelerator and the machine's
// architecture.
func platform(dom *libvirtxml.Domain, accelerator, arch string) {
	dom.OS.Type.Arch = arch
	if arch == "x86_64" {
		dom.OS.Type.Machine = "q35"
		dom.Features = &libvirtxml.DomainFeatureList{ACPI: &libvirtxml.DomainFeature{}, APIC: &libvirtxml.DomainFeatureAPIC{}}
	}
	if accelerator == KVM {
		dom.Type = "kvm"
		dom.CPU = &libvirtxml.DomainCPU{Mode: "host-model"}
		return
	}
	dom.Type = "qemu"
	if arch == "x86_64" {
		// QEMU's richer models have faults under emulation that its plainest
		// one does not reach.
		dom.CPU = &libvirtxml.DomainCPU{Mode: "custom", Match: "exact", Model: &libvirtxml.DomainCPUModel{Value: "qemu64"}}
	}
}

// isHost reports whether a domain stands for the host itself, as Xen's
// Domain-0 does.
func isHost(dom golibvirt.Domain) bool { return dom.UUID == golibvirt.UUID{} }
