package drivers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

func TestUnfitBlamesNoHypervisor(t *testing.T) {
	err := fmt.Errorf("open console: %w", drivers.Unfit("it has no screen: %w", drivers.ErrNotRunning))
	if !errors.Is(err, drivers.ErrUnsupported) || !errors.Is(err, drivers.ErrNotRunning) {
		t.Errorf("%v is not what it wraps and an ErrUnsupported", err)
	}
	if strings.Contains(err.Error(), drivers.ErrUnsupported.Error()) {
		t.Errorf("%q blames the hypervisor", err)
	}
}

func TestWhyIsTheReasonAlone(t *testing.T) {
	for _, err := range []error{
		fmt.Errorf("resize machine: %w", drivers.Unfit("it has %d disks", 0)),
		fmt.Errorf("resize machine: %w: it has 0 disks", drivers.ErrUnsupported),
		errors.New("it has 0 disks"),
	} {
		if got := drivers.Why(err); got != "it has 0 disks" {
			t.Errorf("%q is because %q", err, got)
		}
	}
}

func TestRescueByItsOwnImageIsTheImagesFault(t *testing.T) {
	im := fleet.Image{ID: strings.Repeat("a", 64), Name: "debian", Files: []fleet.ImageFile{{Role: fleet.RoleDisk}}}
	m := &drivers.Machine{Power: fleet.PowerStopped, Mark: &drivers.Mark{Image: im.ID}}
	err := drivers.Rescuable(m, true, &im)
	if !errors.Is(err, drivers.ErrUnsupported) || !strings.HasPrefix(err.Error(), "image debian is what its own disk was made from") {
		t.Errorf("got %v", err)
	}
}
