package compute

import "grapevine/fleet"

// status says how a server is in Nova's words: its status, the state of its machine
// and what is being done to it (nil: nothing). What cannot be heard is UNKNOWN, as
// Nova shows servers of a cell that is down; a machine is never stopped on a guess.
type status struct {
	status, vm string
	task       any
	power      int
}

// powers are Nova's numbers (nova/compute/power_state.py).
var powers = map[fleet.Power]int{
	fleet.PowerUnknown: 0, fleet.PowerRunning: 1, fleet.PowerPaused: 3, fleet.PowerStopped: 4, fleet.PowerCrashed: 6, fleet.PowerSuspended: 7,
}

var byPower = map[fleet.Power]status{
	fleet.PowerRunning:   {status: "ACTIVE", vm: "active"},
	fleet.PowerPaused:    {status: "PAUSED", vm: "paused"},
	fleet.PowerSuspended: {status: "SUSPENDED", vm: "suspended"},
	fleet.PowerStopped:   {status: "SHUTOFF", vm: "stopped"},
	fleet.PowerCrashed:   {status: "ERROR", vm: "error"},
	fleet.PowerUnknown:   {status: "UNKNOWN", vm: "active"},
}

// tasks are Nova's words for what is being done, and the status that goes with it
// where that is not the power's.
var tasks = map[fleet.Task]struct{ task, status, vm string }{
	fleet.TaskBuilding:     {"spawning", "BUILD", "building"},
	fleet.TaskStarting:     {"powering-on", "", ""},
	fleet.TaskStopping:     {"powering-off", "", ""},
	fleet.TaskRebooting:    {"rebooting", "REBOOT", ""},
	fleet.TaskPausing:      {"pausing", "", ""},
	fleet.TaskResuming:     {"unpausing", "", ""},
	fleet.TaskDeleting:     {"deleting", "", ""},
	fleet.TaskMigrating:    {"migrating", "MIGRATING", ""},
	fleet.TaskResizing:     {"resize_migrating", "RESIZE", ""},
	fleet.TaskSnapshotting: {"image_snapshot", "", ""},
	fleet.TaskRebuilding:   {"rebuilding", "REBUILD", ""},
	fleet.TaskRescuing:     {"rescuing", "", ""},
	fleet.TaskUnrescuing:   {"unrescuing", "", ""},
}

func statusOf(i *fleet.Instance) status {
	s := byPower[i.Power]
	s.power = powers[i.Power]
	if i.Rescue != "" && i.Power == fleet.PowerRunning {
		s.status, s.vm = "RESCUE", "rescued"
	}
	if i.Fault != "" && i.Power == fleet.PowerUnknown {
		s.status, s.vm = "ERROR", "error"
	}
	if doing, ok := tasks[i.Task]; ok {
		s.task = doing.task
		if doing.status != "" {
			s.status = doing.status
		}
		if doing.vm != "" {
			s.vm = doing.vm
		}
	}
	if i.Reachability == fleet.ReachUnreachable || i.Reachability == fleet.ReachLeft || i.Reachability == fleet.ReachHypervisorUnreachable {
		s.status = "UNKNOWN"
	}
	return s
}
