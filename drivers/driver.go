// Package drivers is the contract between Grapevine and a hypervisor: what an
// agent may ask of it, in the words of package fleet.
//
// A driver reports what its hypervisor says and does what it is told, once. It
// keeps no state that the hypervisor does not keep, knows neither mesh nor
// agent, and never decides: who may have what is the agent's business. All
// drivers pass the one conformance suite in drivertest.
package drivers

import (
	"context"
	"errors"
	"io"
	"time"

	"grapevine/fleet"
)

// The errors that callers tell apart, with errors.Is. Everything else is a
// failure of the one operation, with the hypervisor's own words in it.
var (
	// ErrNotFound: the hypervisor answers, and has no such machine or image.
	ErrNotFound = errors.New("not found on the hypervisor")
	// ErrUnavailable: the hypervisor does not answer. It says nothing about
	// any machine, least of all that it is stopped.
	ErrUnavailable = errors.New("hypervisor does not answer")
	// ErrUnsupported: this hypervisor cannot do that; see Description.Features.
	// Where one machine or one image alone is why, the error is an Unfit.
	ErrUnsupported = errors.New("not supported by this hypervisor")
	// ErrOutOfSpace: the hypervisor's storage is full.
	ErrOutOfSpace = errors.New("out of space on the hypervisor's storage")
	// ErrBadImage: the content is not what the image's manifest says.
	ErrBadImage = errors.New("image content does not match its manifest")
	// ErrForeign: the machine carries no Mark; adopt it first.
	ErrForeign = errors.New("machine is not managed")
	// ErrMaintenance: somebody has taken the host out of use at its hypervisor,
	// which makes and starts no machine until that ends.
	ErrMaintenance = errors.New("host is in maintenance mode")
)

// Driver drives one host's hypervisor. All methods may be called from several
// goroutines at once, block until the hypervisor has answered, and return
// promptly with the context's error when ctx ends. While the hypervisor cannot
// be reached they return errors that wrap ErrUnavailable, and work again by
// themselves when it is back.
type Driver interface {
	// Describe returns what the host is and has.
	Describe(ctx context.Context) (Description, error)
	// List returns every machine on the host, foreign ones included, ordered
	// by id. A machine that cannot be read in full is listed with PowerUnknown
	// rather than left out: absence means that it is gone.
	List(ctx context.Context) ([]Machine, error)
	// Inspect returns one machine, or ErrNotFound.
	Inspect(ctx context.Context, id fleet.InstanceID) (Machine, error)

	// Build makes the machine, stopped, with its disks and its Mark. It is
	// idempotent by spec.Mark.ID: after a crash at any point a second Build
	// ends with exactly one machine. On an error nothing new is left behind.
	Build(ctx context.Context, spec Spec) error
	// Act does the action to a managed machine and returns when the hypervisor
	// reports its effect. An action whose effect is already there succeeds.
	Act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts ActOptions) error
	// Delete removes a managed machine, running or not, with the disks that
	// Build made. A machine that is not there is no error.
	Delete(ctx context.Context, id fleet.InstanceID) error
	// Adopt writes a Mark, which is the machine's own by its ID, onto a foreign
	// machine, or in place of the one that it carries; it goes on as it was.
	Adopt(ctx context.Context, id fleet.InstanceID, mark Mark) error
	// Disown takes the Mark off a machine, which goes on as it was, with its
	// disks, and is foreign from then on; also to Build, which does not take it
	// for its own again. One that is foreign already is no error. An image that
	// its disks lie upon stays where it was disowned, as before.
	Disown(ctx context.Context, id fleet.InstanceID) error

	// Watch calls changed, from one goroutine at a time, for every change that
	// the hypervisor tells of, until ctx ends (it then returns ctx's error) or
	// the connection is lost (ErrUnavailable; the caller calls again). It
	// first calls changed with the zero Event, once changes can no longer be
	// missed. Events may be repeated and may be lost: a listing repairs that.
	Watch(ctx context.Context, changed func(Event)) error
	// Close releases the connection and waits for the driver's goroutines. The
	// machines go on.
	Close() error
}

// ImageStore is a driver that keeps images on its hypervisor's storage. All
// drivers of this release do.
type ImageStore interface {
	// Images lists the complete images, ordered by id.
	Images(ctx context.Context) ([]fleet.Image, error)
	// ImportImage stores the image, reading its files from content one after
	// the other in the order of im.Files. It verifies every size and digest
	// (ErrBadImage) and leaves nothing behind on an error. An image that is
	// already there is not read again.
	ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error
	// RemoveImage removes an image; one that is not there is no error. Where
	// machines' disks lie upon images, one that a machine needs, managed or not,
	// is a fleet.CodeConflict.
	RemoveImage(ctx context.Context, id string) error
}

// ConsoleLogger is a driver that records what machines print on their first
// serial console.
type ConsoleLogger interface {
	// ConsoleLog returns what is recorded, oldest first, or nothing where the
	// range begins past it. What is kept is bounded: older bytes make way for newer
	// ones. A log that is followed ends when the machine is deleted, when ctx ends
	// or with the connection, and loses nothing over a change of files.
	ConsoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error)
}

// Feature is something only some hypervisors can do. A host's features are
// among its traits, so that placement and clients see them.
type Feature string

// The features.
const (
	FeaturePause      Feature = "pause"         // Pause and Resume
	FeatureConsoleLog Feature = "console-log"   // ConsoleLogger
	FeatureBootKernel Feature = "boot-kernel"   // images with a kernel
	FeatureBootDisk   Feature = "boot-disk"     // images with a disk and no kernel
	FeatureCloudInit  Feature = "cloud-init"    // Spec.Guest
	FeatureBootISO    Feature = "boot-iso"      // images with an ISO
	FeatureUEFI       Feature = fleet.TraitUEFI // Spec.Firmware uefi
	FeatureVLAN       Feature = fleet.TraitVLAN // Spec.Cards with a VLAN
)

// Description is what a host is and has.
type Description struct {
	Hypervisor fleet.Hypervisor
	Version    string // of the hypervisor, for people: "QEMU 7.2.22"
	// Total is what the machine physically has: logical CPUs, memory, and the
	// size of the storage where Build puts disks.
	Total fleet.Resources
	// Reserved is what of Total no machine can have: the hypervisor's own
	// memory, and that of a system beside it, as Xen's Domain-0.
	Reserved fleet.Resources
	// Hardware fingerprints the machine; it survives reinstallation.
	Hardware string
	// HostID is set where the hypervisor itself gives the host its identity
	// (ESXi); elsewhere it is zero and the agent's journal has it.
	HostID   fleet.HostID
	Features []Feature
	// Maintenance: somebody has taken the host out of use at its hypervisor.
	// Build, and starting a machine, are ErrMaintenance.
	Maintenance bool
	// StorageFull: less than FullBelow is left where Build puts disks.
	StorageFull bool `json:",omitempty"`
	// Disks are the formats of image disks that ImportImage takes.
	Disks []string
	// Networks are the names that a card of Spec may be on, sorted, without the
	// empty one.
	Networks []string
	// Boot names the time since the host was last started; it is another after
	// each start. Empty where that is not known: an agent then starts nothing.
	Boot string `json:",omitempty"`
	// Traits are further words about the host, such as "accelerator-tcg".
	Traits []string
}

// FullBelow is how many bytes a storage must have left for a further machine: its
// overlay, seed and firmware's variables take some of them before it writes any.
const FullBelow = 64 << 20

// Machine is a virtual machine as the hypervisor reports it.
type Machine struct {
	ID        fleet.InstanceID
	Name      string // the hypervisor's own name; a managed machine's is in Mark
	Power     fleet.Power
	Resources fleet.Resources
	Addresses []string // IP addresses, where they are known
	// Mark is nil on a foreign machine.
	Mark *Mark
}

// Mark is what Grapevine writes into the hypervisor's own metadata of a
// machine. It makes the machine managed, and outlives the agent's journal.
type Mark struct {
	ID          fleet.InstanceID  `json:"id"`
	Name        string            `json:"name"`
	Project     string            `json:"project"`
	Flavor      string            `json:"flavor"`
	Image       string            `json:"image"`
	DiskGiB     int64             `json:"disk_gib"` // of the first disk; of all, where it was adopted and that is not known
	CreatedAt   time.Time         `json:"created_at"`
	Labels      map[string]string `json:"labels,omitempty"`
	Generation  uint64            `json:"generation"`
	RequestHash string            `json:"request_hash,omitempty"`
	// Autostart and StartOrder say whether and when it is started after a reboot
	// of its host.
	Autostart  fleet.Autostart `json:"autostart,omitempty"`
	StartOrder int             `json:"start_order,omitempty"`
	// Group is the server group that it is in, with the policy that a host judges
	// by which takes the machine over.
	Group fleet.Grouping `json:"group,omitzero"`
	// Rebuilt is how often its first disk was made anew since it was built.
	Rebuilt uint64 `json:"rebuilt,omitempty"`
	// Rescue says by which image it is rescued, where it is.
	Rescue Rescued `json:"rescue,omitzero"`
}

// Spec is a machine to build.
type Spec struct {
	Mark Mark
	// Resources are its sizes. DiskGiB is that of the first disk alone: 0 means
	// no disk beside what the image brings, and never less than the image's.
	Resources fleet.Resources
	Image     fleet.Image
	// Disks are those that it has beside the first, empty but for Origins.
	Disks []fleet.Disk
	// Origins are what its disks begin as, by their numbers, from 0; it may end
	// early. The first disk without one begins as that of Image.
	Origins []Origin
	// Cards are its network cards, each with its MAC address. One whose Network
	// is empty is on the host's default network, and left out where the host has
	// none; any other network that is not there is an error.
	Cards []fleet.NIC
	// Firmware starts a machine that boots no kernel; the host's choice when empty.
	Firmware fleet.Firmware
	// Guest is what cloud-init is to find. Drivers that pass it on do so for
	// images that boot a disk, and for others where anything is asked for.
	Guest fleet.Guest
}

// ActOptions refine an action.
type ActOptions struct {
	// Grace is how long Stop and Reboot let the guest do it by itself before
	// the hypervisor does it; 0 means at once.
	Grace time.Duration
}

// Event says that a machine may have changed; the zero ID says that any may.
type Event struct {
	ID fleet.InstanceID
}
