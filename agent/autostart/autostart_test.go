package autostart_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/agent/autostart"
	"grapevine/fleet"
)

var alive = time.Unix(1_700_000_000, 0)

// Whether a machine is started after a reboot, by what was seen of it before.
func TestMachineIsStartedAsItWasUnlessSomebodySaysOtherwise(t *testing.T) {
	for name, tt := range map[string]struct {
		machine autostart.Machine
		want    bool
	}{
		"it ran":                              {autostart.Machine{Ran: true}, true},
		"it was stopped":                      {autostart.Machine{}, false},
		"it went off with its host":           {autostart.Machine{DownSince: alive.Add(-fleet.GoingDown)}, true},
		"it went off while its host was up":   {autostart.Machine{DownSince: alive.Add(-fleet.GoingDown - 1)}, false},
		"it went off after the sign of life":  {autostart.Machine{DownSince: alive.Add(time.Second)}, true},
		"an operator stopped it at the end":   {autostart.Machine{DownSince: alive, Halted: true}, false},
		"it is to run always":                 {autostart.Machine{Autostart: fleet.AutostartAlways}, true},
		"always, and an operator stopped it":  {autostart.Machine{Autostart: fleet.AutostartAlways, Halted: true}, false},
		"it ran, and is never to be started":  {autostart.Machine{Autostart: fleet.AutostartNever, Ran: true}, false},
		"it waited since the boot before":     {autostart.Machine{Pending: true}, true},
		"it waited, and was stopped meantime": {autostart.Machine{Pending: true, Halted: true}, false},
	} {
		tt.machine.ID = fleet.UUID{1}
		if got := len(autostart.Plan([]autostart.Machine{tt.machine}, alive)) == 1; got != tt.want {
			t.Errorf("%s: started %v, want %v", name, got, tt.want)
		}
	}
}

func TestLowestOrderIsFirstAndNoOrderLast(t *testing.T) {
	id := func(n byte) fleet.UUID { return fleet.UUID{n} }
	got := autostart.Plan([]autostart.Machine{
		{ID: id(5), Ran: true}, {ID: id(4), Ran: true, Order: 7}, {ID: id(3), Ran: true}, {ID: id(2), Ran: true, Order: 7}, {ID: id(9), Ran: true, Order: 1},
	}, alive)
	if diff := cmp.Diff([]fleet.UUID{id(9), id(2), id(4), id(3), id(5)}, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
