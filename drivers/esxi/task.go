package esxi

import (
	"context"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/task"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/fleet"
)

// step starts a task of the host and waits for it, even after ctx has ended:
// the task is then cancelled where the host can, and the caller undoes it.
// Begun under a context that may end, a task could run that nobody knows of.
func (s *session) step(ctx context.Context, start func(context.Context) (*object.Task, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	starting, cancel := steady(ctx)
	begun, err := start(starting)
	cancel()
	if err != nil {
		return err
	}
	if _, err := s.result(ctx, begun.Reference()); ctx.Err() == nil {
		return err
	}
	undoing, cancel := steady(ctx)
	defer cancel()
	s.cancel(undoing, begun)
	_, _ = s.result(undoing, begun.Reference())
	return ctx.Err()
}

// wait waits for a task that was started, as long as ctx lasts; then the host
// is asked to cancel it, and what becomes of it is not known.
func (s *session) wait(ctx context.Context, begun *object.Task, err error) error {
	if err != nil {
		return err
	}
	_, err = s.result(ctx, begun.Reference())
	if ctx.Err() != nil {
		undoing, cancel := steady(ctx)
		defer cancel()
		s.cancel(undoing, begun)
	}
	return err
}

// cancel stops a task half way where the host would do so.
func (s *session) cancel(ctx context.Context, begun *object.Task) {
	var t mo.Task
	if s.properties().RetrieveOne(ctx, begun.Reference(), []string{"info"}, &t) == nil && t.Info.Cancelable {
		_ = begun.Cancel(ctx)
	}
}

// result waits until a task has ended. It belongs to the host and not to the
// login that began it, so that it is waited for through a lost login.
func (s *session) result(ctx context.Context, ref types.ManagedObjectReference) (info types.TaskInfo, err error) {
	defer drivers.Tell(ctx, fleet.Progress{})
	for {
		err = s.updates(ctx, one(ref, "info"), func(set *types.UpdateSet) (done bool, err error) {
			for _, update := range objects(set) {
				if err := missing(update); err != nil {
					return false, err
				}
				for _, change := range update.ChangeSet {
					switch seen := change.Val.(type) {
					case types.TaskInfo:
						info = seen
						tellPercent(ctx, seen.Progress)
					case int32:
						if change.Name == "info.progress" {
							tellPercent(ctx, seen)
						}
					}
				}
			}
			return taskEnded(info)
		})
		if !isLostCollector(err) {
			return info, err
		}
	}
}

// tellPercent passes on how far a task is. A task of which the host says nothing
// stays at 0.
func tellPercent(ctx context.Context, percent int32) {
	if percent > 0 && percent <= 100 {
		drivers.Tell(ctx, fleet.Progress{Percent: int(percent)})
	}
}

// ended waits until the host's tasks of these kinds, whoever began them, have
// ended. Their faults are those of who began them.
func (s *session) ended(ctx context.Context, kinds ...string) error {
	tasks, err := s.running(ctx, kinds)
	if err != nil {
		return err
	}
	for _, task := range tasks {
		if _, err := s.result(ctx, task); err != nil && faultOf(err) == nil {
			return err
		}
	}
	return nil
}

// running are the host's tasks of some kinds that have not ended, whoever began
// them.
func (s *session) running(ctx context.Context, kinds []string) ([]types.ManagedObjectReference, error) {
	res, err := s.properties().RetrieveProperties(ctx, types.RetrieveProperties{SpecSet: []types.PropertyFilterSpec{{
		ObjectSet: []types.ObjectSpec{{
			Obj:       *s.client.ServiceContent.TaskManager,
			Skip:      new(true),
			SelectSet: []types.BaseSelectionSpec{&types.TraversalSpec{Type: "TaskManager", Path: "recentTask"}},
		}},
		PropSet: []types.PropertySpec{{Type: "Task", PathSet: []string{"info.state", "info.descriptionId"}}},
	}}})
	if err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	var list []types.ManagedObjectReference
	for _, content := range res.Returnval {
		var state types.TaskInfoState
		var what string
		for _, p := range content.PropSet {
			switch v := p.Val.(type) {
			case types.TaskInfoState:
				state = v
			case string:
				what = v
			}
		}
		if slices.Contains(kinds, what) && (state == types.TaskInfoStateQueued || state == types.TaskInfoStateRunning) {
			list = append(list, content.Obj)
		}
	}
	return list, nil
}

// taskEnded reports whether a task has ended, and the fault that ended it.
func taskEnded(info types.TaskInfo) (bool, error) {
	switch info.State {
	case types.TaskInfoStateSuccess:
		return true, nil
	case types.TaskInfoStateError:
		if info.Error == nil {
			info.Error = &types.LocalizedMethodFault{Fault: &types.SystemErrorFault{Reason: "the task failed and does not say why"}}
		}
		return true, task.Error{LocalizedMethodFault: info.Error, Description: info.Description}
	default:
		return false, nil
	}
}

// missing is why the host could not say what was asked of an object.
func missing(update types.ObjectUpdate) error {
	for _, m := range update.MissingSet {
		return soap.WrapVimFault(m.Fault.Fault)
	}
	return nil
}
