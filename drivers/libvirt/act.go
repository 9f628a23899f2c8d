package libvirt

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// find returns a machine's domain and its Mark, nil on a foreign one.
func (d *Driver) find(ctx context.Context, id fleet.InstanceID) (golibvirt.Domain, *drivers.Mark, error) {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return dom, nil, err
	}
	var text string
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		text, err = rpc.DomainGetXMLDesc(dom, 0)
		return err
	})
	if err != nil {
		return dom, nil, err
	}
	seen, err := parseDomain(text)
	if err != nil {
		return dom, nil, err
	}
	return dom, decodeMark(seen.Metadata.Inner, id), nil
}

// power asks for a domain's state.
func (d *Driver) power(ctx context.Context, dom golibvirt.Domain) (power fleet.Power, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		power, err = d.flavour.powerOf(rpc, dom)
		return err
	})
	return power, err
}

// Act implements drivers.Driver.
func (d *Driver) Act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	if err := d.act(ctx, id, action, opts); err != nil {
		return fmt.Errorf("%s machine %s: %w", action, id, err)
	}
	return nil
}

func (d *Driver) act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	dom, mark, err := d.find(ctx, id)
	if err != nil {
		return err
	}
	if mark == nil {
		return drivers.ErrForeign
	}
	power, err := d.power(ctx, dom)
	if err != nil {
		return err
	}
	switch action {
	case fleet.Start:
		err = d.startMachine(ctx, dom, power)
	case fleet.Stop:
		err = d.stopMachine(ctx, dom, power, opts.Grace)
	case fleet.Reboot:
		err = d.rebootMachine(ctx, dom, power, opts.Grace)
	case fleet.Pause:
		err = d.pauseMachine(ctx, dom, power)
	case fleet.Resume:
		err = d.resumeMachine(ctx, dom, power)
	default:
		return drivers.ErrUnsupported
	}
	return d.forgive(ctx, dom, action, err)
}

// forgive drops libvirt's refusal where the effect has come by itself between
// our look at the machine and our call.
func (d *Driver) forgive(ctx context.Context, dom golibvirt.Domain, action fleet.InstanceAction, err error) error {
	if !session.IsCode(err, golibvirt.ErrOperationInvalid) {
		return err
	}
	wanted := map[fleet.InstanceAction]fleet.Power{
		fleet.Start: fleet.PowerRunning, fleet.Stop: fleet.PowerStopped,
		fleet.Pause: fleet.PowerPaused, fleet.Resume: fleet.PowerRunning,
	}
	power, again := d.power(ctx, dom)
	if again == nil && power == wanted[action] {
		return nil
	}
	return err
}

// inState is the refusal of an action that the machine's state does not allow.
func inState(power fleet.Power) error { return fmt.Errorf("the machine is %s", power) }

func (d *Driver) startMachine(ctx context.Context, dom golibvirt.Domain, power fleet.Power) error {
	switch power {
	case fleet.PowerRunning:
		return nil
	case fleet.PowerSuspended:
		return d.wake(ctx, dom)
	case fleet.PowerCrashed:
		if err := d.destroy(ctx, dom); err != nil { // it may be kept for a look at its memory
			return err
		}
	case fleet.PowerStopped:
	default:
		return inState(power)
	}
	return d.create(ctx, dom)
}

// startTries is how often a start is tried that libvirt itself cut short.
const startTries = 3

func (d *Driver) create(ctx context.Context, dom golibvirt.Domain) error {
	return d.launch(ctx, dom, func(rpc *golibvirt.Libvirt) error {
		_, err := rpc.DomainCreateWithFlags(dom, 0)
		return err
	})
}

// launch starts a QEMU for the domain. When a machine starts right after it
// was stopped, libvirt 9 may still be about to handle the end of the old QEMU,
// and then kills the new one; its next start is not in that danger.
func (d *Driver) launch(ctx context.Context, dom golibvirt.Domain, start func(*golibvirt.Libvirt) error) (err error) {
	if err := d.rests.wait(ctx, dom.UUID); err != nil {
		return err
	}
	for range startTries {
		err = d.session.Call(ctx, start)
		if !slain(err) {
			return err
		}
		d.rests.begin(dom.UUID)
		if err := d.rests.wait(ctx, dom.UUID); err != nil {
			return err
		}
		d.log.Info("start was cut short by libvirt, trying again", "domain", dom.Name)
	}
	return err
}

// slain reports whether QEMU was ended from outside while it started: it says
// so, or nothing at all. One that cannot start says why.
func slain(err error) bool {
	switch {
	case session.IsCode(err, golibvirt.ErrInternalError):
		return strings.Contains(err.Error(), "terminating on signal 15") || strings.HasSuffix(err.Error(), "connecting to monitor")
	case session.IsCode(err, golibvirt.ErrOperationFailed):
		return strings.HasSuffix(err.Error(), "domain is no longer running")
	default:
		return false
	}
}

func (d *Driver) wake(ctx context.Context, dom golibvirt.Domain) error {
	return d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.DomainPmWakeup(dom, 0) })
}

// destroy takes the power away; a domain that has none is left as it is.
func (d *Driver) destroy(ctx context.Context, dom golibvirt.Domain) error {
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.DomainDestroyFlags(dom, 0) })
	d.rests.begin(dom.UUID)
	if session.IsCode(err, golibvirt.ErrOperationInvalid) {
		power, again := d.power(ctx, dom)
		if again == nil && (power == fleet.PowerStopped || power == fleet.PowerCrashed) {
			return nil
		}
		if ctx.Err() != nil {
			return again // what the refusal means cannot be told any more
		}
	}
	return err
}

// stopMachine asks the guest first, where it runs and has time to; a paused
// one could not hear it.
func (d *Driver) stopMachine(ctx context.Context, dom golibvirt.Domain, power fleet.Power, grace time.Duration) error {
	if power == fleet.PowerStopped {
		return nil
	}
	if power == fleet.PowerRunning && grace > 0 {
		down, err := d.coax(ctx, dom, grace, func(rpc *golibvirt.Libvirt) error {
			return rpc.DomainShutdownFlags(dom, d.flavour.shutdown)
		}, func(session.Happening) bool {
			power, err := d.power(ctx, dom)
			return power == fleet.PowerStopped || errors.Is(err, drivers.ErrNotFound)
		})
		if down || err != nil {
			d.rests.begin(dom.UUID)
			return err
		}
	}
	if err := d.destroy(ctx, dom); err != nil && !errors.Is(err, drivers.ErrNotFound) {
		return err // a machine that was never defined is gone once it stops
	}
	return nil
}

// rebootMachine asks the guest first, where it has time to, and resets it.
func (d *Driver) rebootMachine(ctx context.Context, dom golibvirt.Domain, power fleet.Power, grace time.Duration) error {
	if power != fleet.PowerRunning {
		return inState(power)
	}
	if grace > 0 {
		done, err := d.coax(ctx, dom, grace, func(rpc *golibvirt.Libvirt) error {
			return rpc.DomainReboot(dom, d.flavour.reboot)
		}, func(h session.Happening) bool { return h.Rebooted || !d.flavour.resets && d.succeeded(ctx, dom) })
		if done || err != nil {
			return err
		}
	}
	if d.flavour.resets {
		return d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.DomainReset(dom, 0) })
	}
	if err := d.destroy(ctx, dom); err != nil {
		return err
	}
	return d.create(ctx, dom)
}

// succeeded reports whether another domain runs in the place of this one.
func (d *Driver) succeeded(ctx context.Context, dom golibvirt.Domain) bool {
	now, err := d.lookup(ctx, fleet.InstanceID(dom.UUID))
	if err != nil || now.ID < 0 || now.ID == dom.ID {
		return false
	}
	power, err := d.power(ctx, now)
	return err == nil && power == fleet.PowerRunning
}

func (d *Driver) pauseMachine(ctx context.Context, dom golibvirt.Domain, power fleet.Power) error {
	switch power {
	case fleet.PowerPaused:
		return nil
	case fleet.PowerRunning:
		return d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.DomainSuspend(dom) })
	default:
		return inState(power)
	}
}

func (d *Driver) resumeMachine(ctx context.Context, dom golibvirt.Domain, power fleet.Power) error {
	switch power {
	case fleet.PowerRunning:
		return nil
	case fleet.PowerPaused:
		return d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error { return rpc.DomainResume(dom) })
	case fleet.PowerSuspended:
		return d.wake(ctx, dom)
	default:
		return inState(power)
	}
}

// lookAgain is how often a guest's progress is looked at beside the events
// that tell of it, for an event may be lost.
const lookAgain = time.Second

// coax asks the guest to do something and waits until done says so of an
// event, or of the zero one each second; false when its grace is over.
func (d *Driver) coax(ctx context.Context, dom golibvirt.Domain, grace time.Duration,
	ask func(*golibvirt.Libvirt) error, done func(session.Happening) bool,
) (bool, error) {
	f, err := d.session.OpenFeed(ctx) // before asking, so that no event is missed
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := d.session.Call(ctx, ask); err != nil {
		return false, err
	}
	over := time.NewTimer(grace)
	defer over.Stop()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		var h session.Happening
		select {
		case h = <-f.Events():
			if h.ID != fleet.InstanceID(dom.UUID) {
				continue
			}
		case <-again.C:
		case <-over.C:
			return false, nil
		case <-f.Lost():
			return false, fmt.Errorf("%w: the connection was lost", drivers.ErrUnavailable)
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if done(h) {
			return true, nil
		}
	}
}
