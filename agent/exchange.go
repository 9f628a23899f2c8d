package agent

import (
	"context"
	"errors"
	"fmt"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/drivers"
	"grapevine/fleet"
)

// Some of what a machine has is exchanged while it is stopped; it is brought
// back afterwards.

// startable refuses to stop a machine that could not be started again.
func startable(a *Agent, picture *observer.Picture, power fleet.Power) error {
	if picture.Description.Maintenance && isOn(power) {
		return errorf(fleet.CodeRefused, "host %s is in maintenance mode at its hypervisor, and would not start the instance again until that ends", a.name())
	}
	return nil
}

// isOn reports whether a machine has not been switched off.
func isOn(power fleet.Power) bool {
	return power.Awake() || power == fleet.PowerSuspended
}

// exchangeWith is exchange for what needs an image. The image is here before the
// machine is stopped, and a machine is brought back whose exchange failed.
func (a *Agent) exchangeWith(ctx context.Context, op *journal.Operation, id string, isDone func(*drivers.Machine) bool, do func(context.Context, fleet.Image) error) error {
	within, cancel := context.WithTimeoutCause(ctx, a.cfg.BuildTimeout, fmt.Errorf("not done within build_timeout, %s", a.cfg.BuildTimeout))
	defer cancel()
	done, err := a.shelf.use(within, id)
	if err != nil {
		return fmt.Errorf("%s: %w", op.Verb, because(within, err))
	}
	defer done()
	a.noteUsed(id)
	image, err := a.obtain(within, op, id)
	if err != nil {
		return fmt.Errorf("%s: %w", op.Verb, because(within, err))
	}
	err = a.persist(within, func() error {
		return a.exchange(within, op, isDone, func() error { return do(within, image) })
	})
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", op.Verb, because(within, err)), a.bringBack(ctx, op))
	}
	return nil
}

// exchange stops the machine, where what is to be done has not been done yet,
// and does it.
func (a *Agent) exchange(ctx context.Context, op *journal.Operation, isDone func(*drivers.Machine) bool, do func() error) error {
	m, err := a.driver.Inspect(ctx, op.Instance)
	if err != nil {
		return err
	}
	if !isDone(&m) {
		if err := a.driver.Act(ctx, op.Instance, fleet.Stop, drivers.ActOptions{Grace: a.cfg.StopGrace}); err != nil {
			return err
		}
	}
	return do()
}

// bringBack starts a machine again that was on when its operation began.
func (a *Agent) bringBack(ctx context.Context, op *journal.Operation) error {
	if !isOn(op.Power) {
		return nil
	}
	return a.powerOn(ctx, op)
}

// powerOn starts the machine that an operation has changed.
func (a *Agent) powerOn(ctx context.Context, op *journal.Operation) error {
	err := a.persist(ctx, func() error { return a.driver.Act(ctx, op.Instance, fleet.Start, drivers.ActOptions{}) })
	if err != nil {
		return fmt.Errorf("%s: not started: %w", op.Verb, err)
	}
	return nil
}
