package drivertest

import (
	"errors"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// startStopReboot does each action twice: an effect that is there already is
// no error.
func startStopReboot(k *kit) {
	id := k.build("power")
	for _, step := range []struct {
		action fleet.InstanceAction
		want   fleet.Power
	}{
		{fleet.Stop, fleet.PowerStopped},
		{fleet.Start, fleet.PowerRunning},
		{fleet.Start, fleet.PowerRunning},
		{fleet.Reboot, fleet.PowerRunning},
		{fleet.Reboot, fleet.PowerRunning},
		{fleet.Stop, fleet.PowerStopped},
		{fleet.Stop, fleet.PowerStopped},
		{fleet.Start, fleet.PowerRunning},
	} {
		k.act(id, step.action)
		k.wantPower(id, step.want)
	}
	k.h.PowerOff(k, id)
	k.wantPower(id, fleet.PowerStopped)
	if err := k.d.Act(k.Context(), id, "sing", drivers.ActOptions{}); !errors.Is(err, drivers.ErrUnsupported) {
		k.Errorf("an action that nobody knows: got %v, want ErrUnsupported", err)
	}
}

func stopWithGrace(k *kit) {
	id := k.build("grace")
	k.act(id, fleet.Start)
	const grace = 300 * time.Millisecond
	began := time.Now()
	k.must(k.d.Act(k.Context(), id, fleet.Stop, drivers.ActOptions{Grace: grace}))
	if took := time.Since(began); took > grace+k.facts.Patience {
		k.Errorf("stop took %s with a grace of %s", took, grace)
	}
	k.wantPower(id, fleet.PowerStopped)
}

func pauseResume(k *kit) {
	id := k.build("pause")
	k.act(id, fleet.Start)
	for _, step := range []struct {
		action fleet.InstanceAction
		want   fleet.Power
	}{
		{fleet.Resume, fleet.PowerRunning},
		{fleet.Pause, fleet.PowerPaused},
		{fleet.Pause, fleet.PowerPaused},
		{fleet.Resume, fleet.PowerRunning},
		{fleet.Pause, fleet.PowerPaused},
		{fleet.Stop, fleet.PowerStopped},
	} {
		k.act(id, step.action)
		k.wantPower(id, step.want)
	}
}
