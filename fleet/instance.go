package fleet

import (
	"fmt"
	"time"
)

// Ownership tells machines that Grapevine made, or adopted, from the others.
type Ownership string

// A foreign machine is listed, counted and readable; it is written to only
// after it has been adopted. A managed one that is disowned is foreign again.
const (
	Managed Ownership = "managed"
	Foreign Ownership = "foreign"
)

// Power is what the hypervisor says of a machine.
type Power string

// The power states. Unknown is a state: it is never read as stopped.
const (
	PowerRunning   Power = "running"
	PowerPaused    Power = "paused"
	PowerSuspended Power = "suspended"
	PowerStopped   Power = "stopped"
	PowerCrashed   Power = "crashed"
	PowerUnknown   Power = "unknown"
)

// Awake reports whether a machine is switched on and has its memory: one that
// runs, also while it is paused.
func (p Power) Awake() bool { return p == PowerRunning || p == PowerPaused }

// Task is what is being done to an instance; TaskNone when nothing is.
type Task string

// The tasks.
const (
	TaskNone         Task = ""
	TaskBuilding     Task = "building"
	TaskStarting     Task = "starting"
	TaskStopping     Task = "stopping"
	TaskRebooting    Task = "rebooting"
	TaskPausing      Task = "pausing"
	TaskResuming     Task = "resuming"
	TaskAdopting     Task = "adopting"
	TaskDeleting     Task = "deleting"
	TaskMigrating    Task = "migrating"
	TaskResizing     Task = "resizing"
	TaskSnapshotting Task = "snapshotting"
	TaskAttaching    Task = "attaching"
	TaskDetaching    Task = "detaching"
	TaskDisowning    Task = "disowning"
	TaskRebuilding   Task = "rebuilding"
	TaskRescuing     Task = "rescuing"
	TaskUnrescuing   Task = "unrescuing"
	TaskMarking      Task = "marking"
)

// Instance is one virtual machine as the agent of its host describes it.
type Instance struct {
	ID         InstanceID `json:"id"`
	Name       string     `json:"name"`
	Project    string     `json:"project"`
	Host       HostID     `json:"host"`
	HostName   string     `json:"host_name"` // overlay, from the host's row
	Hypervisor Hypervisor `json:"hypervisor"`
	Ownership  Ownership  `json:"ownership"`
	Power      Power      `json:"power"`
	Task       Task       `json:"task"`
	// Fault is why the last task failed; empty when it did not.
	Fault  string `json:"fault"`
	Flavor string `json:"flavor"` // the name it was asked for by, a label
	Image  string `json:"image"`  // id of the image it was made from
	// Rescue is the id of the image that it boots in place of its own disk, so
	// that this can be mended; empty where it is not rescued.
	Rescue    string   `json:"rescue,omitempty"`
	VCPUs     int64    `json:"vcpus"`
	MemoryMiB int64    `json:"memory_mib"`
	DiskGiB   int64    `json:"disk_gib"`
	Addresses []string `json:"addresses"`
	// CreatedAt is by the host's wall clock; zero for a machine found foreign.
	CreatedAt time.Time         `json:"created_at"`
	Labels    map[string]string `json:"labels"`
	// Group is the server group that it is in, zero for none.
	Group GroupID `json:"group,omitzero"`
	// Generation is kept in the hypervisor's own metadata and raised by
	// migration: the highest one that runs owns the row.
	Generation uint64 `json:"generation"`
	// SupersededBy is the host whose copy of the instance counts in place of this
	// one; zero where this one counts. Nothing is done to a superseded copy but
	// to adopt it, which makes it the one that counts, or to disown it.
	SupersededBy HostID `json:"superseded_by,omitzero"`
	// Twin is a host on which a copy of the instance runs as well as this one.
	// While neither copy is superseded, nothing is done to either.
	Twin HostID `json:"twin,omitzero"`
	// Autostart and StartOrder say whether it is started after a reboot of its
	// host, and when: see Autostart.
	Autostart  Autostart `json:"autostart,omitempty"`
	StartOrder int       `json:"start_order,omitempty"`
	Version    Version   `json:"version"`
	ObservedAt time.Time `json:"observed_at"` // host's wall clock, for people only
	AgeMS      int64     `json:"age_ms"`      // overlay, as in Host
	// Reachability and ReachabilitySince are overlays, those of the host.
	Reachability      Reachability `json:"reachability"`
	ReachabilitySince *time.Time   `json:"reachability_since,omitempty"`
	// HostDeclaredDead is an overlay: somebody declared the host dead, so that what
	// the row says is of the past.
	HostDeclaredDead bool `json:"host_declared_dead,omitempty"`
	// Migration is the operation that moves it to another host, while it does.
	Migration string `json:"migration,omitempty"`
	// DeleteIntent is an overlay: the host deletes the instance when it is back.
	DeleteIntent *Record `json:"delete_intent,omitempty"`
}

// Resources returns what the instance takes of its host.
func (i *Instance) Resources() Resources {
	return Resources{VCPUs: i.VCPUs, MemoryMiB: i.MemoryMiB, DiskGiB: i.DiskGiB}
}

// InstanceAction is a verb on an instance.
type InstanceAction string

// The instance actions of this release.
const (
	Start  InstanceAction = "start"
	Stop   InstanceAction = "stop"
	Reboot InstanceAction = "reboot"
	Pause  InstanceAction = "pause"
	Resume InstanceAction = "resume"
	Adopt  InstanceAction = "adopt"
	Disown InstanceAction = "disown"
)

// Task returns the task that an instance shows while the action is done to it.
func (a InstanceAction) Task() Task {
	switch a {
	case Start:
		return TaskStarting
	case Stop:
		return TaskStopping
	case Reboot:
		return TaskRebooting
	case Pause:
		return TaskPausing
	case Resume:
		return TaskResuming
	case Adopt:
		return TaskAdopting
	case Disown:
		return TaskDisowning
	default:
		return TaskNone
	}
}

// InstanceActions lists the actions in the order people use them.
func InstanceActions() []InstanceAction {
	return []InstanceAction{Start, Stop, Reboot, Pause, Resume, Adopt, Disown}
}

// NoInstance is the answer about an instance that is not there, and about one that
// is not for who asks.
func NoInstance(id InstanceID) error {
	return &Error{
		Code: CodeNotFound, Instance: id,
		Detail: fmt.Sprintf("no instance has the id %s; list them with: grapevine instance list", id),
	}
}
