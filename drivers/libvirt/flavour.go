package libvirt

import (
	"context"
	"io"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/fleet"
)

// flavour is all that differs between the hypervisors behind libvirt. What a
// flavour does not have is never asked of libvirt.
type flavour struct {
	hypervisor fleet.Hypervisor
	// sockets are where the flavour's daemons listen: libvirtd, or the modular
	// daemon that takes its place on newer systems.
	sockets []string
	// version puts libvirt's number, 7002022 for 7.2.22, into words.
	version func(kind string, number uint64) string

	// features are what this host can do, with these networks.
	features func(context.Context, *Driver, *capabilities, wires) ([]drivers.Feature, error)
	// guests decides how guests run here.
	guests func(context.Context, *Driver, *capabilities) (guests, error)
	// advise is what there is to say of that.
	advise func(*Driver, *capabilities, guests) drivers.Finding
	// hardware fingerprints the machine.
	hardware func(context.Context, *Driver, *capabilities) (string, error)
	// memory is what the host has, in KiB, and what of it is not for guests.
	memory func(context.Context, *Driver) (total, reserved uint64, err error)

	// usage is what the machines use.
	usage func(context.Context, *Driver) (map[fleet.InstanceID]fleet.Usage, error)

	// platform sets what of a domain depends on the hypervisor, its console
	// included.
	platform func(*libvirtxml.Domain, blueprint)
	// bus and disks are how a machine's disks are wired, and how their names
	// begin.
	bus, disks string
	// blocks is what serves a disk that is a block device.
	blocks string
	// card is the model of its network card, empty for libvirt's choice.
	card string
	// locksSeed: the guest cannot write to its seed. QEMU before version 8 opens
	// no read-only disk for Xen; what is on it is the guest's own.
	locksSeed bool
	// records: the hypervisor itself records the console of such a machine.
	records func(blueprint) bool
	// rotated is the number of the newest part of a log that was moved aside.
	rotated int
	// console says where a machine's console is recorded.
	console func(context.Context, *Driver, golibvirt.Domain) (consolePlace, error)
	// discardLog deletes what the hypervisor itself has recorded of a machine;
	// nil where that lies in our own pool.
	discardLog func(context.Context, *Driver, golibvirt.Domain) error

	// asks: it can be asked for machines' addresses, beside the leases.
	asks   bool // screen connects to a machine's screen.
	screen func(context.Context, *Driver, golibvirt.Domain) (io.ReadWriteCloser, error)

	// shutdown and reboot say how a guest is asked.
	shutdown golibvirt.DomainShutdownFlagValues
	reboot   golibvirt.DomainRebootFlagValues
	// lingers: a domain that is shut off is done with only when it is not
	// active any more.
	lingers bool
	// resets: a machine can be reset, and tells when it reboots. Elsewhere a
	// reboot is a new domain of the same name.
	resets bool
	// grows: the disk of a machine that runs can be made larger.
	grows bool
	// tagging is the version of libvirt from which it tags VLANs on bridges of
	// Linux, 0 for none. On Open vSwitch it always does.
	tagging uint64
	// headroom: machines are built to be given more while they run.
	headroom bool
	// rescues says why a domain cannot boot this image, and rescue adds the disk
	// that it is to boot before all others.
	rescues func(*libvirtxml.Domain, *fleet.Image) error
	rescue  func(def *definition, disk libvirtxml.DomainDisk)
	// undefine is what goes with a domain.
	undefine golibvirt.DomainUndefineFlagsValues
}

// guests is how guests run on a host: in a word, in traits, and why, in one
// sentence.
type guests struct {
	how    string
	traits []string
	why    string
}

// flavourOf returns the flavour behind a connection URI of this scheme;
// libvirt's own mock passes for KVM.
func flavourOf(scheme string) *flavour {
	if scheme == "xen" {
		return xenFlavour()
	}
	return kvmFlavour()
}

// isHost reports whether a domain stands for the host itself, as Xen's
// Domain-0 does.
func isHost(dom golibvirt.Domain) bool { return dom.UUID == golibvirt.UUID{} }
