package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"grapevine/agent/fetch"
	"grapevine/agent/journal"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// stepReady is the step of an instance that came and waits to be given.
const stepReady = "ready"

// takeOver brings an instance here from another host. Until that has given it, its
// machine bears generation 0, below every other, and is in no row.
func (a *Agent) takeOver(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	if op.Step != stepReady && !op.Moving.Taken {
		err := a.makeComing(ctx, op)
		if ctx.Err() != nil {
			return journal.Outcome{}, err
		}
		if err != nil {
			return a.giveUp(ctx, op, err)
		}
		a.dropBrought(ctx, op)
		if err := a.noteMove(ctx, op, stepReady, func(*journal.Moving) {}); err != nil {
			return journal.Outcome{}, err
		}
	}
	if !op.Moving.Taken {
		given, err := a.awaitGift(ctx, op)
		switch {
		case err != nil:
			return journal.Outcome{}, err
		case !given:
			return a.giveUp(ctx, op, fmt.Errorf("host %s keeps the instance", a.HostName(op.Moving.Source)))
		}
		if err := a.noteMove(ctx, op, "taken over", func(m *journal.Moving) { m.Taken = true }); err != nil {
			return journal.Outcome{}, err
		}
	}
	return journal.Outcome{Release: true, Arrived: true}, a.own(ctx, op)
}

// makeComing makes the machine, with all that is on its disks.
func (a *Agent) makeComing(ctx context.Context, op *journal.Operation) error {
	m := op.Moving
	if word, err := a.askSource(ctx, op); err == nil && word != fleet.MoveOpen && word != fleet.MoveGiven {
		return fmt.Errorf("host %s keeps the instance", a.HostName(m.Source))
	}
	spec, err := specOfMove(&m.Move, 0)
	if err != nil {
		return err
	}
	done, err := a.shelf.use(ctx, m.Request.Image)
	if err != nil {
		return err
	}
	defer done()
	a.noteUsed(m.Request.Image)
	if spec.Image, err = a.fetched(ctx, m.Request.Image); err != nil {
		return err
	}
	for i := range m.Disks {
		letGo, err := a.shelf.use(ctx, m.Disks[i].SHA256)
		if err != nil {
			return err
		}
		defer letGo()
	}
	if err := a.bringDisks(ctx, op, &spec); err != nil {
		return err
	}
	within, cancel := context.WithTimeoutCause(ctx, a.cfg.BuildTimeout, fmt.Errorf("not built within build_timeout, %s", a.cfg.BuildTimeout))
	defer cancel()
	if err := a.persist(within, func() error { return a.driver.Build(within, spec) }); err != nil {
		return fmt.Errorf("build: %w", because(within, err))
	}
	return nil
}

// specOfMove is the machine that comes.
func specOfMove(m *fleet.Move, generation uint64) (drivers.Spec, error) {
	var mark drivers.Mark
	if err := json.Unmarshal(m.Mark, &mark); err != nil {
		return drivers.Spec{}, fmt.Errorf("read the instance's mark: %w", err)
	}
	if mark.ID != m.Request.ID {
		return drivers.Spec{}, fmt.Errorf("the mark is that of instance %s", mark.ID)
	}
	mark.Generation = generation
	size := m.Request.Resources
	size.DiskGiB = m.Request.DiskGiB - fleet.DisksGiB(m.Request.Disks)
	return drivers.Spec{
		Mark: mark, Resources: size, Disks: m.Request.Disks, Cards: fleet.Cards(mark.ID, m.Request.Networks),
		Firmware: m.Request.Firmware, Guest: m.Request.Guest,
	}, nil
}

// bringDisks fetches the disks, each as an image that nobody else sees, and goes
// when the machine is made of it.
func (a *Agent) bringDisks(ctx context.Context, op *journal.Operation, spec *drivers.Spec) error {
	m := op.Moving
	var brought []string
	for i := range m.Disks {
		im := m.Disks[i].Image(&m.Move)
		if _, err := a.image(im.ID); err != nil && !slices.Contains(brought, im.ID) {
			brought = append(brought, im.ID)
		}
	}
	for _, id := range m.Brought { // by an earlier life
		if !slices.Contains(brought, id) {
			brought = append(brought, id)
		}
	}
	if err := a.noteMove(ctx, op, "fetching disks", func(m *journal.Moving) { m.Brought = brought }); err != nil {
		return err
	}
	a.state.mu.Lock()
	a.state.hide(brought)
	a.state.mu.Unlock()
	flight, landed := a.shelf.download(op.ID)
	defer landed()
	m = op.Moving
	for i := range m.Disks {
		flight.total.Add(m.Disks[i].Bytes)
	}
	spec.Origins = make([]drivers.Origin, 1+len(spec.Disks))
	further := 1
	for i := range m.Disks {
		disk := &m.Disks[i]
		im, err := a.bringDisk(ctx, m, disk, flight)
		if err != nil {
			return fmt.Errorf("fetch %s: %w", disk.Device, err)
		}
		if disk.Device == drivers.DiskName(0) {
			spec.Origins[0].Image = im
			continue
		}
		spec.Origins[further].Image = im
		further++
	}
	return nil
}

// bringDisk fetches one disk from the source, unless it is here as an image.
func (a *Agent) bringDisk(ctx context.Context, m *journal.Moving, disk *fleet.MovedDisk, total *flight) (fleet.Image, error) {
	im := disk.Image(&m.Move)
	if held, err := a.image(im.ID); err == nil {
		return held, nil
	}
	before := total.done.Load()
	return a.shelf.board(ctx, im.ID, func() *flight {
		coming, cancel := context.WithCancel(a.running)
		f := &flight{cancel: cancel, ended: make(chan struct{})}
		a.operations.Go(func() {
			defer cancel()
			kept, err := a.bringFrom(coming, m.Source, im, func(done int64) { total.done.Store(before + done) })
			a.shelf.land(im.ID, f, kept, err)
		})
		return f
	})
}

// bringFrom fetches an image from one host and gives it to the hypervisor.
func (a *Agent) bringFrom(ctx context.Context, from fleet.HostID, im fleet.Image, progress func(int64)) (fleet.Image, error) {
	source := []fetch.Source{{Name: a.HostName(from), Read: a.reading(from, im.ID)}}
	content, err := a.spool.Fetch(ctx, im, func() []fetch.Source { return source }, progress)
	if err != nil {
		return fleet.Image{}, err
	}
	kept, err := a.keep(ctx, im, content.Paths())
	return kept, errors.Join(err, content.Close())
}

// hide keeps images out of the host's account. The caller holds the lock.
func (s *state) hide(images []string) {
	for _, id := range images {
		s.retiring[id] = true
	}
}

// dropBrought removes the images that were here for the disks alone. One that
// stays is an image like any other, and can be deleted as such.
func (a *Agent) dropBrought(ctx context.Context, op *journal.Operation) {
	for _, id := range op.Moving.Brought {
		if err := a.spool.Drop(id); err != nil {
			a.log.Warn("part of a disk stays in the spool for a day", "operation", op.ID, "error", err)
		}
		if _, err := a.image(id); err != nil {
			a.state.mu.Lock()
			delete(a.state.retiring, id)
			a.state.mu.Unlock()
			continue
		}
		if err := a.persist(ctx, func() error { return a.removeImage(ctx, id) }); err != nil && ctx.Err() == nil {
			a.log.Warn("image of a disk stays", "operation", op.ID, "image", id, "error", err)
			a.state.mu.Lock()
			delete(a.state.retiring, id)
			a.state.mu.Unlock()
		}
	}
}

// askSource asks the host that the instance comes from how far the move is.
func (a *Agent) askSource(ctx context.Context, op *journal.Operation) (fleet.MoveState, error) {
	peer, err := a.Peer(op.Moving.Source)
	if err != nil {
		return "", err
	}
	within, cancel := context.WithTimeout(ctx, moveAnswers)
	defer cancel()
	report, err := peer.MoveAt(within, op.Moving.ID)
	return report.State, err
}

// awaitGift waits until the source says whose the instance is: an error is that of
// ctx. Where somebody has given the source up, what was last heard of it decides.
func (a *Agent) awaitGift(ctx context.Context, op *journal.Operation) (given bool, err error) {
	for wait := moveSoon; ; wait = min(2*wait, moveLater) {
		word, err := a.askSource(ctx, op)
		switch {
		case err == nil && (word == fleet.MoveGiven || word == fleet.MoveEnded):
			made, err := a.stillMade(ctx, op)
			if made || err != nil {
				return made, err
			}
		case err == nil && word != fleet.MoveOpen:
			return false, nil
		case err == nil:
			wait = min(wait, 2*moveSoon) // it is about to say
		case ctx.Err() == nil && a.givenUpNow(op.Moving.Source):
			made, err := a.stillMade(ctx, op)
			if !made || err != nil {
				return made, err
			}
			return a.lastSaid(op), nil
		}
		if !pause.UpTo(ctx, wait) {
			return false, ctx.Err()
		}
	}
}

// stillMade reports whether the machine is there that was made, and makes it once
// more where somebody has removed it.
func (a *Agent) stillMade(ctx context.Context, op *journal.Operation) (bool, error) {
	_, err := a.driver.Inspect(ctx, op.Instance)
	if errors.Is(err, drivers.ErrNotFound) {
		if err = a.makeComing(ctx, op); err == nil {
			a.dropBrought(ctx, op)
			_, err = a.driver.Inspect(ctx, op.Instance)
		}
	}
	if err != nil && ctx.Err() == nil {
		a.log.Warn("instance is given, and its machine is not there yet", "operation", op.ID, "instance", op.Instance, "error", err)
	}
	return err == nil, ctx.Err()
}

// lastSaid reports whether the source, which is given up, was about to give the
// instance when it was last heard, and nobody else shows it.
func (a *Agent) lastSaid(op *journal.Operation) bool {
	said := a.Forgotten(op.Moving.Source)
	for _, b := range a.mesh.Replica().Instance(op.Instance) {
		row, ok := b.Instance(op.Instance)
		switch host := b.HostID(); {
		case !ok, host == a.hostID, a.Forgotten(host):
		case host == op.Moving.Source:
			said = row.Migration == op.Moving.ID
		default:
			return false
		}
	}
	return said
}

// own makes the machine the one that counts.
func (a *Agent) own(ctx context.Context, op *journal.Operation) error {
	spec, err := specOfMove(&op.Moving.Move, op.Moving.Generation)
	if err != nil {
		return err
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := a.driver.Adopt(ctx, op.Instance, spec.Mark)
		switch {
		case err == nil:
			a.log.Info("instance taken over", "operation", op.ID, "instance", op.Instance, "from", op.Moving.Source, "generation", op.Moving.Generation)
			return nil
		case errors.Is(err, drivers.ErrNotFound):
			return fmt.Errorf("migrate: the machine was removed at its hypervisor: %w", err)
		}
		a.log.Warn("instance taken over is not marked so yet", "operation", op.ID, "instance", op.Instance, "error", err)
		if !pause.UpTo(ctx, wait) {
			return ctx.Err()
		}
	}
}

// giveUp removes what has come of an instance that stays where it is. A machine
// that somebody has started meanwhile is not the instance: it is let go of.
func (a *Agent) giveUp(ctx context.Context, op *journal.Operation, why error) (journal.Outcome, error) {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := a.clear(ctx, op.Instance)
		if err == nil {
			break
		}
		a.log.Warn("machine of an instance that does not come not removed yet", "operation", op.ID, "instance", op.Instance, "error", err)
		if !pause.UpTo(ctx, wait) {
			return journal.Outcome{}, ctx.Err()
		}
	}
	a.dropBrought(ctx, op)
	return journal.Outcome{Release: true}, fmt.Errorf("migrate: %w", why)
}

func (a *Agent) clear(ctx context.Context, id fleet.InstanceID) error {
	m, err := a.driver.Inspect(ctx, id)
	switch {
	case errors.Is(err, drivers.ErrNotFound):
		return a.driver.Delete(ctx, id) // also of a disk without a machine
	case err != nil:
		return err
	case m.Power != fleet.PowerStopped:
		return a.driver.Disown(ctx, id)
	default:
		return a.driver.Delete(ctx, id)
	}
}
