package agent

import (
	"context"
	"slices"
	"sync"
	"time"

	"grapevine/agent/journal"
	"grapevine/agent/observer"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// rebooted is the host's present boot, and what is still to be started after it.
type rebooted struct {
	mu   sync.Mutex
	boot journal.Boot // guarded by mu
	wake chan struct{}
}

// pending names the boot after which there is something to start; empty where
// there is nothing.
func (b *rebooted) pending() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.boot.Starts) == 0 {
		return ""
	}
	return b.boot.ID
}

// next returns what is to be started next.
func (b *rebooted) next() (id fleet.InstanceID, boot string, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.boot.Starts) == 0 {
		return id, "", false
	}
	return b.boot.Starts[0], b.boot.ID, true
}

func (b *rebooted) done(id fleet.InstanceID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.boot.Starts = slices.DeleteFunc(slices.Clone(b.boot.Starts), func(o fleet.InstanceID) bool { return o == id })
}

func (b *rebooted) set(boot journal.Boot) {
	b.mu.Lock()
	b.boot = boot
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (a *Agent) recallBoot() error {
	boot, err := a.journal.Boot()
	if err == nil {
		a.boots.set(boot)
	}
	return err
}

// noteBoot takes in which boot of the host the picture is of. After another one
// than before, what is to be started is made durable before the copy of what was
// seen, from which it follows, is overwritten.
func (a *Agent) noteBoot(p *observer.Picture) error {
	a.boots.mu.Lock()
	held := a.boots.boot
	a.boots.mu.Unlock()
	next := journal.Boot{ID: p.Description.Boot}
	if next.ID == "" || next.ID == held.ID {
		return nil
	}
	if held.ID != "" {
		next.Starts = a.past.plan(held.Starts)
		a.log.Warn("host has rebooted", "starts", len(next.Starts))
	}
	if err := a.journal.BeginBoot(next); err != nil {
		return err
	}
	a.boots.set(next)
	return nil
}

// startPause is how long the agent waits before it looks again whether it may
// start something.
const startPause = 100 * time.Millisecond

// keepStarted starts what is to be started after a reboot of the host: in order,
// one after the other, once the host is trusted.
func (a *Agent) keepStarted(ctx context.Context) error {
	for {
		id, boot, any := a.boots.next()
		switch {
		case !any:
			select {
			case <-ctx.Done():
				return nil
			case <-a.boots.wake:
			}
		case !a.mayStart():
			pause.UpTo(ctx, startPause)
		default:
			a.bringUp(ctx, id, boot)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// mayStart reports whether the host is trusted, with the boot that it has, and
// not being emptied: then its machines are started when that ends.
func (a *Agent) mayStart() bool {
	if p := a.observer.Picture(); !p.Complete || p.Fault != "" || !a.mesh.Settled() || a.judge() != nil {
		return false
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	return !a.state.back.On() && a.state.base.State != fleet.HostDraining
}

// again are the codes of what may be otherwise in a moment.
var again = []fleet.Code{fleet.CodeBusy, fleet.CodeNotReady, fleet.CodeQuarantined, fleet.CodeHypervisorUnreachable, fleet.CodeInternal}

// bringUp starts one machine, once: the operation bears the boot as its key, so
// that after a kill between the two it is not begun again.
func (a *Agent) bringUp(ctx context.Context, id fleet.InstanceID, boot string) {
	begun, err := a.startAfter(id, boot)
	if slices.Contains(again, fleet.CodeOf(err)) {
		pause.UpTo(ctx, startPause)
		return
	}
	if err != nil {
		a.log.Warn("instance not started after the reboot", "instance", id, "error", err)
	}
	if err := a.journal.EndStart(id); err != nil {
		a.log.Error("start after the reboot not written", "instance", id, "error", err)
		pause.UpTo(ctx, startPause)
		return
	}
	a.boots.done(id)
	if begun {
		pause.For(ctx, a.cfg.AutostartEvery)
	}
}

// startAfter begins the start of a machine that is still there, does not run and
// was not stopped since.
func (a *Agent) startAfter(id fleet.InstanceID, boot string) (begun bool, err error) {
	s, there := a.observer.Machine(id)
	if !there || s.Mark == nil || s.Power.Awake() || a.past.halted(id) {
		return false, nil
	}
	w := &work{verb: string(fleet.Start), key: "autostart " + boot, hash: hashOf(boot)}
	_, err = a.begin(a.running, id, w, func(row *fleet.Instance, picture *observer.Picture) error {
		return startable(a, picture, fleet.PowerRunning)
	})
	return err == nil, err
}
