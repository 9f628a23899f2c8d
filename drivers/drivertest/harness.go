package drivertest

import (
	"cmp"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Harness makes drivers on one hypervisor and acts on it behind their backs.
// Its methods report failures to the TB that they are given.
type Harness interface {
	// Open returns a new connection; the suite closes it. It works, and must
	// not wait, also while the hypervisor is cut off.
	Open(tb testing.TB) drivers.Driver
	// Facts says what the hypervisor can take.
	Facts() Facts
	// Image is a small image that the hypervisor boots, and its content.
	Image() (fleet.Image, []byte)

	// Define makes a stopped machine without a Mark, as a person would.
	Define(tb testing.TB, name string) fleet.InstanceID
	// PowerOn, PowerOff and Remove do to any machine what a person could.
	PowerOn(tb testing.TB, id fleet.InstanceID)
	PowerOff(tb testing.TB, id fleet.InstanceID)
	Remove(tb testing.TB, id fleet.InstanceID)
	// Storage names all that the hypervisor's storage holds of machines and
	// images made by drivers, so that leftovers are seen. Order is of no
	// matter.
	Storage(tb testing.TB) []string

	// Guest is all that a machine's cloud-init would find, as one text; only
	// drivers with drivers.FeatureCloudInit are asked.
	Guest(tb testing.TB, id fleet.InstanceID) string

	// Cut makes the hypervisor unreachable for all drivers; the machines go
	// on. Restore ends that.
	Cut(tb testing.TB)
	Restore(tb testing.TB)
}

// Maintainer is a harness whose hypervisor can be taken out of use.
type Maintainer interface {
	Maintain(tb testing.TB, on bool)
}

// Filler is a harness whose storage can be made full.
type Filler interface {
	Fill(tb testing.TB, on bool)
}

// Printer is a harness whose hypervisor boots nothing: Print writes what the
// guest of a running machine would print on its console.
type Printer interface {
	Print(tb testing.TB, id fleet.InstanceID, text string)
}

// Screener is a harness whose Image has no screen. The machines of Screen's
// have.
type Screener interface {
	Screen() (fleet.Image, []byte)
}

// Facts are what the suite must know of a hypervisor.
type Facts struct {
	// Size is that of the machines to build; 1 vCPU and 64 MiB when zero.
	Size fleet.Resources
	// Many is how many machines the hypervisor holds cheaply; 20 when zero.
	Many int
	// ListWithin bounds one listing of Many machines; 5 s when zero.
	ListWithin time.Duration
	// Patience bounds everything else that the suite waits for: a guest's
	// first line, an event, a reconnect; 30 s when zero.
	Patience time.Duration
	// LogBound is the most that the console log of a machine holds; 64 KiB when
	// zero. It is negative where the hypervisor itself keeps the log and bounds
	// none: it is only followed then.
	LogBound int64
}

func (f Facts) orDefault() Facts {
	f.Size = cmp.Or(f.Size, fleet.Resources{VCPUs: 1, MemoryMiB: 64})
	f.Many = cmp.Or(f.Many, 20)
	f.ListWithin = cmp.Or(f.ListWithin, 5*time.Second)
	f.Patience = cmp.Or(f.Patience, 30*time.Second)
	f.LogBound = cmp.Or(f.LogBound, 64<<10)
	return f
}
