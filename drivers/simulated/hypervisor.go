package simulated

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Latency is how long the simulated hypervisor takes; a zero field is no time.
type Latency struct {
	Call      time.Duration // each call
	BuildStep time.Duration // each of the BuildSteps
	Boot      time.Duration // power on until running
	Shutdown  time.Duration // a guest's own way down, when it is asked to
}

// DefaultLatency is small enough to be pleasant and large enough to be seen.
func DefaultLatency() Latency {
	return Latency{
		Call:      200 * time.Microsecond,
		BuildStep: 2 * time.Millisecond,
		Boot:      10 * time.Millisecond,
		Shutdown:  20 * time.Millisecond,
	}
}

// Config describes a simulated host. The zero value is a KVM host in memory.
type Config struct {
	Hypervisor fleet.Hypervisor // KVM when empty
	Resources  fleet.Resources  // of the host; DefaultResources when zero
	// Hardware fingerprints the host; "simulated" when empty. A simulated
	// ESXi host's id is derived from it.
	Hardware string
	Latency  *Latency // nil: DefaultLatency
	// Networks are those of the host, the default one first; one with the name
	// that is usual for the kind of hypervisor when empty.
	Networks []string
	// Dir is a folder that machines, disks and images are written through to,
	// so that a new process finds them again; empty keeps them in memory only.
	// One Hypervisor uses a folder at a time.
	Dir string
}

// DefaultResources is a mid-sized host.
func DefaultResources() fleet.Resources {
	return fleet.Resources{VCPUs: 16, MemoryMiB: 64 << 10, DiskGiB: 1000}
}

// Hypervisor is a simulated host's hypervisor. All methods may be called from
// several goroutines at once. Machines run on whether or not anything is
// connected.
type Hypervisor struct {
	config Config
	store  *store
	// maintenance: a person has taken the host out of use.
	maintenance atomic.Bool
	boot        atomic.Int64 // how often the host was started anew

	mu       sync.Mutex // guards all below
	latency  Latency
	machines map[fleet.InstanceID]*machine
	disks    map[fleet.InstanceID]int64 // GiB, of machines built and being built
	images   map[string]fleet.Image
	building map[fleet.InstanceID]chan struct{} // closed when the build has ended
	watches  map[*watch]struct{}
	seats    map[fleet.InstanceID]*seat // the last to sit down at each serial console
	stirred  chan struct{}              // closed, and made anew, when any machine has changed or printed
	cut      chan struct{}              // closed while the hypervisor does not answer
	isCut    bool
	deaf     bool // events are lost
	full     bool // storage is full
	failStep int  // the next build fails here; 0 for nowhere
	gate     *Gate
}

// New returns a hypervisor, with the machines that Dir remembers. It fails
// when Dir cannot be read or written.
func New(config Config) (*Hypervisor, error) {
	config.Hypervisor = cmp.Or(config.Hypervisor, fleet.KVM)
	config.Resources = cmp.Or(config.Resources, DefaultResources())
	if len(config.Networks) == 0 {
		config.Networks = []string{defaultNetwork(config.Hypervisor)}
	}
	config.Hardware = cmp.Or(config.Hardware, "simulated")
	h := &Hypervisor{
		config: config, latency: DefaultLatency(),
		machines: map[fleet.InstanceID]*machine{}, disks: map[fleet.InstanceID]int64{}, images: map[string]fleet.Image{},
		building: map[fleet.InstanceID]chan struct{}{}, watches: map[*watch]struct{}{}, seats: map[fleet.InstanceID]*seat{}, cut: make(chan struct{}), stirred: make(chan struct{}),
	}
	if config.Latency != nil {
		h.latency = *config.Latency
	}
	if config.Dir == "" {
		return h, nil
	}
	h.store = &store{dir: config.Dir}
	if err := h.store.load(h); err != nil {
		return nil, fmt.Errorf("load simulated hypervisor: %w", err)
	}
	return h, nil
}

// hostSpace is the name space of simulated ESXi hosts' ids.
var hostSpace = fleet.UUID{0x5e, 0x1f, 0x06, 0x9d, 0x8c, 0x3a, 0x4f, 0x10, 0xa6, 0x2b, 0x73, 0x69, 0x6d, 0x68, 0x73, 0x74}

// describe returns what the host is and has.
func (h *Hypervisor) describe() drivers.Description {
	d := drivers.Description{
		Hypervisor: h.config.Hypervisor,
		Version:    "simulated " + string(h.config.Hypervisor),
		Total:      h.config.Resources,
		Hardware:   h.config.Hardware,
		Boot:       h.booted(),

		Maintenance: h.maintenance.Load(),
		Features: []drivers.Feature{
			drivers.FeatureBootDisk, drivers.FeatureBootISO, drivers.FeatureCloudInit, drivers.FeatureConsole, drivers.FeatureConsoleLog,
			drivers.FeatureCopyDisks, drivers.FeatureDevices, drivers.FeatureImageSource, drivers.FeatureMigrate, drivers.FeatureReadDisks, drivers.FeatureRebuild,
			drivers.FeatureRescue, drivers.FeatureResize, drivers.FeatureUEFI, drivers.FeatureUsage,
		},
		Disks:    []string{fleet.FormatQCOW2, fleet.FormatRaw, fleet.FormatVMDK},
		Traits:   []string{"simulated"},
		Networks: slices.Sorted(slices.Values(h.config.Networks)),
	}
	if h.growsRunning() {
		d.Features = append(d.Features, drivers.FeatureGrowRunning)
	}
	if h.hasScreens() {
		d.Features = append(d.Features, drivers.FeatureVNC)
	}
	if h.growsLive() {
		d.Features = append(d.Features, drivers.FeatureResizeLive)
	}
	if h.canSnapshot() == nil {
		d.Features = append(d.Features, drivers.FeatureSnapshot)
	}
	if h.config.Hypervisor == fleet.ESXi { // as the real one: no pause, no kernels, an id of its own
		d.HostID = fleet.NewUUIDv5(hostSpace, h.config.Hardware)
		return d
	}
	d.Features = append(d.Features, drivers.FeaturePause, drivers.FeatureBootKernel, drivers.FeatureVLAN)
	slices.Sort(d.Features)
	return d
}
