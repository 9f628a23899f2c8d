package vcsim

import (
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// taskTrouble is what befalls a task: it is held, or fails, or both.
type taskTrouble struct {
	fault types.BaseMethodFault
	hold  *Hold
}

// FailTask makes the next task that a method begins end with a fault, such as
// NoDiskSpace, and do nothing.
func (h *Host) FailTask(method, fault string) {
	h.trouble.plan(method, taskTrouble{fault: faultNamed(fault)})
}

// HoldTask makes the next task that a method begins wait before it does
// anything, so that a test can act while it is under way. The host would
// cancel it.
func (h *Host) HoldTask(method string) *Hold {
	hold := &Hold{registry: h.model.Map(), reached: make(chan struct{}), open: make(chan struct{}), cancelled: make(chan struct{})}
	h.trouble.plan(method, taskTrouble{hold: hold})
	return hold
}

// Hold is a task that is held.
type Hold struct {
	registry  *simulator.Registry
	once      sync.Once
	reached   chan struct{}
	open      chan struct{}
	cancelled chan struct{}
	task      *simulator.Task // set before reached is closed
}

// Reached is closed when the task is under way.
func (h *Hold) Reached() <-chan struct{} { return h.reached }

// Cancelled is closed when the task was cancelled.
func (h *Hold) Cancelled() <-chan struct{} { return h.cancelled }

// Progress makes the task say that it is so far, in percent. It has been
// reached.
func (h *Hold) Progress(percent int) {
	ctx := &simulator.Context{Map: h.registry}
	h.registry.AtomicUpdate(ctx, h.task, []types.PropertyChange{{Name: "info.progress", Val: int32(percent)}})
}

// Release lets the task go on; it may be called more than once.
func (h *Hold) Release() { h.once.Do(func() { close(h.open) }) }

func (t *trouble) plan(method string, trouble taskTrouble) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tasks == nil {
		t.tasks = map[string]taskTrouble{}
	}
	t.tasks[method] = trouble
}

// begun is a call that is about to begin a task, and what befalls that.
type begun struct {
	taskTrouble
	ctx   *simulator.Context // holds the lock of the task's machine
	first func()             // done by the task before all else, where it is not met by a fault
}

// before is called before each call of the API, with what a task that it
// begins is to do first; nil for nothing.
func (t *trouble) before(ctx *simulator.Context, method string, first func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	planned, is := t.tasks[method]
	delete(t.tasks, method)
	if !is && t.full && growing[method] {
		planned, is = taskTrouble{fault: noSpace()}, true
	}
	if is || first != nil {
		t.begun = &begun{planned, ctx, first}
	}
}

// meet takes the trouble that the task which is just beginning meets.
func (t *trouble) meet() *begun {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.begun
	t.begun = nil
	return b
}

// tasks sees every task of the simulator before it runs.
type tasks struct{ *trouble }

// taskWatch names this handler among those of the simulator.
var taskWatch = types.ManagedObjectReference{Type: "GrapevineTaskWatch", Value: "tasks"}

// Reference is called by the simulator.
func (t tasks) Reference() types.ManagedObjectReference { return taskWatch }

// PutObject is called by the simulator when there is a new object.
func (t tasks) PutObject(_ *simulator.Context, object mo.Reference) {
	task, is := object.(*simulator.Task)
	if !is {
		return
	}
	if b := t.meet(); b != nil {
		b.befall(t.trouble, task)
	}
}

// UpdateObject is called by the simulator when an object changes.
func (t tasks) UpdateObject(_ *simulator.Context, object mo.Reference, changes []types.PropertyChange) {
	for _, c := range changes {
		if c.Name == "info.cancelled" {
			t.cancelled(object.Reference())
		}
	}
}

// RemoveObject is called by the simulator when an object is gone.
func (t tasks) RemoveObject(_ *simulator.Context, _ types.ManagedObjectReference) {}

// cancelled lets go of a held task that was cancelled.
func (t *trouble) cancelled(task types.ManagedObjectReference) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if hold, is := t.holds[task]; is {
		delete(t.holds, task)
		close(hold.cancelled)
	}
}

// keep remembers which task is held.
func (t *trouble) keep(hold *Hold) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.holds == nil {
		t.holds = map[types.ManagedObjectReference]*Hold{}
	}
	t.holds[hold.task.Self] = hold
}

// befall puts the trouble before what the task does.
func (b *begun) befall(all *trouble, task *simulator.Task) {
	execute := task.Execute
	task.Info.Cancelable = b.hold != nil
	task.Execute = func(t *simulator.Task) (types.AnyType, types.BaseMethodFault) {
		if b.hold != nil {
			b.hold.task = t
			all.keep(b.hold)
			if b.isCancelled() {
				return nil, &types.RequestCanceled{}
			}
		}
		if b.fault != nil {
			return nil, b.fault
		}
		if b.first != nil {
			b.first()
		}
		return execute(t)
	}
}

// isCancelled holds the task and says how that ended. Meanwhile its machine
// can be read, as on a real host: the simulator holds a machine's lock from the
// call that begins a task until its end. So one count of the lock is given back
// beside the one taken, and taken again for the simulator to give back.
func (b *begun) isCancelled() bool {
	machine := &locked{Self: *b.hold.task.Info.Entity}
	release := b.ctx.Map.AcquireLock(b.ctx, machine)
	release()
	release()
	defer func() { _ = b.ctx.Map.AcquireLock(b.ctx, machine) }()
	close(b.hold.reached)
	select {
	case <-b.hold.open:
		return false
	case <-b.hold.cancelled:
		return true
	}
}

// locked is an object as the simulator locks it.
type locked struct{ Self types.ManagedObjectReference }

// Reference is called by the simulator.
func (l *locked) Reference() types.ManagedObjectReference { return l.Self }
