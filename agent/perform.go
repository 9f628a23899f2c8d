package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// perform does the operation and says what becomes of its claim.
func (a *Agent) perform(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	if err := a.stillCounts(op); err != nil {
		return journal.Outcome{Release: op.Verb == verbCreate}, err
	}
	switch op.Verb {
	case verbCreate:
		return a.build(ctx, op)
	case verbDelete:
		return a.remove(ctx, op)
	case string(fleet.Adopt):
		return journal.Outcome{}, a.adopt(ctx, op)
	case string(fleet.Disown):
		return journal.Outcome{}, a.disown(ctx, op)
	case verbResize:
		return journal.Outcome{}, a.resize(ctx, op)
	case fleet.VerbAutostart:
		return journal.Outcome{}, a.remark(ctx, op)
	case fleet.VerbRescue:
		return journal.Outcome{}, a.rescue(ctx, op)
	case fleet.VerbUnrescue:
		return journal.Outcome{}, a.unrescue(ctx, op)
	case fleet.VerbRebuild:
		return journal.Outcome{}, a.rebuild(ctx, op)
	case string(fleet.TakeSnapshot), string(fleet.RevertSnapshot), string(fleet.DeleteSnapshot):
		return journal.Outcome{}, a.snapshot(ctx, op)
	case string(fleet.AttachDevice), string(fleet.DetachDevice), string(fleet.GrowDisk):
		return journal.Outcome{}, a.device(ctx, op)
	case fleet.VerbExport:
		return journal.Outcome{}, a.export(ctx, op)
	case fleet.VerbMigrate:
		return a.move(ctx, op)
	case fleet.VerbCapture:
		return journal.Outcome{}, a.capture(ctx, op)
	default:
		return journal.Outcome{}, a.act(ctx, op)
	}
}

// step journals that the operation is about to do what must not be done twice.
// Everything else an operation does can be done again: after a crash it begins
// anew and finds done what was done.
func (a *Agent) step(ctx context.Context, op *journal.Operation, name string) error {
	a.state.mu.Lock()
	op.Step = name
	snapshot := *op
	a.state.mu.Unlock()
	return written(ctx, name, func() error { return a.journal.Step(snapshot) })
}

// build makes the claimed machine and starts it. Where the build fails nothing
// is left of it but the claim, which then shows why and holds no capacity.
func (a *Agent) build(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	a.state.mu.Lock()
	claim := a.state.ledger.Claim(op.Instance)
	a.state.mu.Unlock()
	if claim == nil {
		return journal.Outcome{}, fmt.Errorf("claim of instance %s is not in the journal", op.Instance)
	}
	// A resumed build has the whole time again: the host may have been down
	// for longer than that.
	within, cancel := context.WithTimeoutCause(ctx, a.cfg.BuildTimeout,
		fmt.Errorf("not built within build_timeout, %s", a.cfg.BuildTimeout))
	defer cancel()

	p := &claim.Proposal
	done, err := a.shelf.use(within, p.Image)
	var image fleet.Image
	if err == nil {
		defer done()
		a.noteUsed(p.Image)
		image, err = a.obtain(within, op, p.Image)
	}
	spec := specOf(a.mark(op, p), p, image)
	if err == nil {
		var letGo func()
		if spec.Origins, letGo, err = a.origins(within, p); err == nil {
			defer letGo()
		}
	}
	if err == nil {
		err = a.persist(within, func() error {
			return driven(within, "build", func(ctx context.Context) error { return a.driver.Build(ctx, spec) })
		})
	}
	if err != nil {
		err = fmt.Errorf("build: %w", because(within, err))
		return journal.Outcome{Fault: err.Error()}, err
	}
	// From here on the machine stands for itself: the hypervisor has its mark.
	err = a.persist(within, func() error {
		return driven(within, "start", func(ctx context.Context) error { return a.driver.Act(ctx, p.ID, fleet.Start, drivers.ActOptions{}) })
	})
	if err != nil {
		err = fmt.Errorf("built, but not started: %w", because(within, err))
	}
	return journal.Outcome{Release: true}, err
}

// because prefers the reason why a context ended to the fact that it did.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, ctx.Err()) {
		return cause
	}
	return err
}

// specOf is the machine that a proposal asks for.
func specOf(mark drivers.Mark, p *fleet.Proposal, image fleet.Image) drivers.Spec {
	size := p.Resources
	size.DiskGiB = mark.DiskGiB
	return drivers.Spec{
		Mark: mark, Resources: size, Image: image,
		Disks: p.Disks, Cards: fleet.Cards(p.ID, p.Networks), Firmware: p.Firmware, Guest: p.Guest,
	}
}

func (a *Agent) mark(op *journal.Operation, p *fleet.Proposal) drivers.Mark {
	return drivers.Mark{
		ID: p.ID, Name: p.Name, Project: p.Project, Flavor: p.Flavor, Image: p.Image, DiskGiB: p.DiskGiB - fleet.DisksGiB(p.Disks),
		CreatedAt: op.StartedAt, Labels: p.Labels, Generation: max(p.Generation, 1), RequestHash: p.RequestHash,
		Autostart: p.Autostart, StartOrder: p.StartOrder, Group: p.Group.Grouping,
	}
}

// remove deletes the machine, and remembers for a while that it did.
func (a *Agent) remove(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	err := driven(ctx, "delete", func(ctx context.Context) error { return a.driver.Delete(ctx, op.Instance) })
	if err != nil {
		return journal.Outcome{}, fmt.Errorf("delete: %w", err)
	}
	if err := a.spool.Remove(exportFolder(op.Instance)); err != nil {
		a.log.Warn("export of a deleted instance stays for a day", "instance", op.Instance, "error", err)
	}
	return journal.Outcome{
		Release: true,
		Deleted: &journal.Deletion{Instance: op.Instance, RequestHash: op.RequestHash, At: time.Now()},
	}, nil
}

// requestHash returns the hash of the create that an instance came from. The
// caller holds the lock.
func (s *state) requestHash(picture *observer.Picture, id fleet.InstanceID) string {
	if m, ok := picture.Machines[id]; ok && m.Mark != nil {
		return m.Mark.RequestHash
	}
	if c := s.ledger.Claim(id); c != nil {
		return c.Proposal.RequestHash
	}
	return ""
}

// act does an instance action. A reboot that was under way when the agent
// died is not done again: it would be a second one.
func (a *Agent) act(ctx context.Context, op *journal.Operation) error {
	if op.Verb == string(fleet.Reboot) {
		if op.Step != "" {
			return errors.New("reboot: the agent was restarted while it was under way; whether the guest rebooted is not known")
		}
		if err := a.step(ctx, op, op.Verb); err != nil {
			return err
		}
	}
	opts := drivers.ActOptions{Grace: cmp.Or(op.Grace, a.cfg.StopGrace)}
	if op.Force {
		opts.Grace = 0
	}
	if op.Leave && !op.Force {
		opts.Grace = 2 * op.Grace // the hypervisor never comes to the end of it
		return a.shutDown(ctx, op, func(ctx context.Context) error {
			return driven(ctx, "stop", func(ctx context.Context) error { return a.driver.Act(ctx, op.Instance, fleet.Stop, opts) })
		})
	}
	err := driven(ctx, op.Verb, func(ctx context.Context) error {
		return a.driver.Act(ctx, op.Instance, fleet.InstanceAction(op.Verb), opts)
	})
	if err != nil {
		return fmt.Errorf("%s: %w", op.Verb, err)
	}
	return nil
}

// The pauses between tries, at least half of these.
const (
	firstRetry = 100 * time.Millisecond
	lastRetry  = 5 * time.Second
)

// persist tries again, with back-off, for as long as the hypervisor does not
// answer and ctx allows.
func (a *Agent) persist(ctx context.Context, try func() error) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := try()
		if err == nil || !errors.Is(err, drivers.ErrUnavailable) {
			return err
		}
		if !pause.UpTo(ctx, wait) {
			return errors.Join(err, ctx.Err())
		}
	}
}
