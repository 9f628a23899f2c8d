package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"grapevine/agent/journal"
	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// An instance moves to another host by one operation at each of the two. Until the
// source's journal says that it is given away it is the source's, and whatever goes
// wrong is undone at the destination; from then on it is the destination's, and all
// goes forward. Neither host starts it in between, and the source removes its
// machine when the destination has said that it owns the instance.

const (
	// moveSoon and moveLater bound the pauses between two questions to the other host.
	moveSoon  = 250 * time.Millisecond
	moveLater = 5 * time.Second
	// movePatience is how long the destination may be out of reach before the source
	// keeps the instance, as long as it may.
	movePatience = 2 * time.Minute
)

// move does what is this host's of a migration.
func (a *Agent) move(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	if op.Arrives() {
		return a.takeOver(ctx, op)
	}
	outcome, err := a.sendAway(ctx, op)
	if ctx.Err() == nil {
		err = errors.Join(err, a.spool.Remove(moveFolder(op.Instance)))
	}
	if err != nil {
		err = fmt.Errorf("migrate: %w", err)
	}
	return outcome, err
}

// sendAway gives an instance to another host. An error says that it is this
// host's still, or again.
func (a *Agent) sendAway(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	if !op.Moving.Given {
		if err := a.layOut(ctx, op); err != nil {
			return journal.Outcome{}, err
		}
		if err := a.readyThere(ctx, op); err != nil {
			return journal.Outcome{}, err
		}
		if err := a.give(ctx, op); err != nil {
			return journal.Outcome{}, err
		}
	}
	if op.Moving.Retaken == 0 {
		if err := a.ownedThere(ctx, op); err != nil {
			return journal.Outcome{}, err
		}
	}
	if op.Moving.Retaken != 0 {
		return a.retake(ctx, op)
	}
	return a.removeGiven(ctx, op)
}

// noteMove journals what a move has come to, again and again while that cannot be
// written, and holds to it from then on. It fails only with ctx: what the disk has
// then, the next start sees.
func (a *Agent) noteMove(ctx context.Context, op *journal.Operation, step string, change func(*journal.Moving)) error {
	next, moving := *op, *op.Moving
	change(&moving)
	next.Step, next.Moving = step, &moving
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := a.journal.Step(next)
		if err == nil {
			break
		}
		a.log.Error("step of a migration not written", "operation", op.ID, "error", err)
		if !pause.UpTo(ctx, wait) {
			return errors.Join(err, ctx.Err())
		}
	}
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	op.Step, op.Moving = next.Step, next.Moving
	return nil
}

// moveFolder names the folder of the spool where the disks of an instance lie that
// goes to another host.
func moveFolder(id fleet.InstanceID) string { return "migrate-" + id.String() }

// layOut describes the machine, which nothing else is done to any more, and lays
// its disks out for the destination to read.
func (a *Agent) layOut(ctx context.Context, op *journal.Operation) error {
	if op.Step != "" && a.laidOut(op) {
		return nil
	}
	flight, landed := a.shelf.download(op.ID)
	defer landed()
	move, err := a.draft(ctx, op.Instance)
	if err != nil {
		return err
	}
	folder, err := a.spool.Fresh(moveFolder(op.Instance))
	if err != nil {
		return err
	}
	for i := range move.Disks {
		disk := &move.Disks[i]
		f, err := a.exportDisk(ctx, op.Instance, disk.Device, folder, flight)
		if err != nil {
			return err
		}
		disk.ImageFile = f.ImageFile
	}
	return a.noteMove(ctx, op, "disks laid out", func(m *journal.Moving) {
		move.ID, move.To, move.Key, move.KeyHash = m.ID, m.To, m.Key, m.KeyHash
		m.Move = move
	})
}

// laidOut reports whether the disks lie there from before a restart.
func (a *Agent) laidOut(op *journal.Operation) bool {
	for i := range op.Moving.Disks {
		disk := &op.Moving.Disks[i]
		info, err := os.Stat(a.diskPath(op.Instance, disk))
		if err != nil || info.Size() != disk.Bytes {
			return false
		}
	}
	return true
}

func (a *Agent) diskPath(id fleet.InstanceID, disk *fleet.MovedDisk) string {
	return filepath.Join(a.spool.Folder(moveFolder(id)), disk.Device+"."+disk.Format)
}

// readyThere offers the instance to its destination, or to one host after the
// other where none was named, until one has all of it and waits.
func (a *Agent) readyThere(ctx context.Context, op *journal.Operation) error {
	asked := map[fleet.HostID]bool{}
	var lost time.Time // since when it cannot be asked
	for wait := moveSoon; ; wait = min(2*wait, moveLater) {
		report, err := a.offer(ctx, op)
		switch {
		case err == nil:
			lost = time.Time{}
		case ctx.Err() != nil:
			return err
		case fleet.CodeOf(err) == fleet.CodeRefused && !op.Moving.Named:
			asked[op.Moving.To] = true
			next, none := a.destination(ctx, &op.Moving.Request, fleet.HostID{}, asked)
			if none != nil {
				return errors.Join(err, none)
			}
			if err := a.noteMove(ctx, op, op.Step, func(m *journal.Moving) { m.To = next }); err != nil {
				return err
			}
			continue
		case !passing(err):
			return err
		case lost.IsZero():
			lost = time.Now()
		case time.Since(lost) > movePatience:
			return fmt.Errorf("host %s could not be asked for %s, and the instance stays here: %w", a.HostName(op.Moving.To), movePatience, err)
		}
		switch report.State {
		case fleet.MoveReady:
			return nil
		case fleet.MoveFailed:
			return fmt.Errorf("host %s: %s", a.HostName(op.Moving.To), report.Detail)
		case fleet.MoveOwned:
			return fmt.Errorf("host %s has taken the instance over, since somebody declared this host dead", a.HostName(op.Moving.To))
		default: // not yet
		}
		if !pause.UpTo(ctx, wait) {
			return ctx.Err()
		}
	}
}

// passing reports whether an error of a node says nothing that lasts.
func passing(err error) bool {
	return errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown) ||
		slices.Contains([]fleet.Code{fleet.CodeHostUnreachable, fleet.CodeBusy, fleet.CodeNotReady, fleet.CodeHypervisorUnreachable, fleet.CodeTooMany, fleet.CodeInternal}, fleet.CodeOf(err))
}

// moveAnswers is how long the other host of a move may take for one answer.
const moveAnswers = 10 * time.Second

// offer tells the destination of the move, for the first time or again, and
// returns how far it is.
func (a *Agent) offer(ctx context.Context, op *journal.Operation) (fleet.MoveReport, error) {
	peer, err := a.Peer(op.Moving.To)
	if err != nil {
		return fleet.MoveReport{}, err
	}
	within, cancel := context.WithTimeout(ctx, moveAnswers)
	defer cancel()
	move := op.Moving.Move
	move.Request.Host, move.Gone = move.To, op.Moving.Given
	return peer.OfferMove(within, move)
}

// give is the one moment at which the instance changes hands: when it is written,
// the instance is the destination's.
func (a *Agent) give(ctx context.Context, op *journal.Operation) error {
	var m drivers.Machine
	err := a.persist(ctx, func() (err error) { m, err = a.driver.Inspect(ctx, op.Instance); return err })
	if err != nil {
		return err
	}
	if err := movable(&m); err != nil {
		return err
	}
	if max(m.Mark.Generation, 1)+1 != op.Moving.Generation || a.past.cameDown(op.Instance).After(op.StartedAt) {
		return errors.New("the machine was changed or started at its hypervisor meanwhile")
	}
	for _, r := range a.Intended(a.hostID) {
		if r.Subject == op.Instance {
			return fmt.Errorf("it is to be deleted (%s)", r.ID)
		}
	}
	err = a.noteMove(ctx, op, "given to host "+a.HostName(op.Moving.To), func(m *journal.Moving) { m.Given = true })
	if err != nil {
		return err
	}
	a.log.Info("instance given away", "operation", op.ID, "instance", op.Instance, "to", op.Moving.To, "generation", op.Moving.Generation)
	return nil
}

// ownedThere waits until the destination says that it owns the instance. Where it
// cannot be asked this host says so, and waits for it, or for somebody to give it
// up: then the instance is this host's again, in a generation above.
func (a *Agent) ownedThere(ctx context.Context, op *journal.Operation) error {
	for wait := moveSoon; ; wait = min(2*wait, moveLater) {
		report, err := a.offer(ctx, op)
		to := op.Moving.To
		switch {
		case err == nil && report.State == fleet.MoveOwned:
			return nil
		case err == nil && report.State == fleet.MoveFailed, err != nil && a.givenUpNow(to):
			return a.noteMove(ctx, op, "taken back", func(m *journal.Moving) { m.Retaken = m.Generation + 1 })
		case err != nil && ctx.Err() == nil:
			a.complain(op.Instance, fmt.Sprintf("given to host %s as generation %d, which has not said yet that it has it (%v); nobody starts it until then; "+
				"if that host is lost for good: grapevine host declare-dead %s", a.HostName(to), op.Moving.Generation, err, a.HostName(to)))
		}
		if !pause.UpTo(ctx, wait) {
			return ctx.Err()
		}
	}
}

// givenUpNow reports whether somebody has given a host up in the life in which it
// was heard last.
func (a *Agent) givenUpNow(host fleet.HostID) bool {
	return a.Forgotten(host) || a.givenUp(host, a.mesh.Replica().Version(host).Epoch)
}

// complain shows in the row what an operation waits for.
func (a *Agent) complain(id fleet.InstanceID, why string) {
	a.state.mu.Lock()
	was := a.state.faults[id]
	a.state.faults[id] = why
	a.state.mu.Unlock()
	if was != why {
		a.outdate()
	}
}

// retake makes the instance this host's again.
func (a *Agent) retake(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	err := a.persist(ctx, func() error {
		m, err := a.driver.Inspect(ctx, op.Instance)
		if err != nil || m.Mark == nil {
			return err
		}
		mark := m.Mark.Clone()
		mark.Generation = op.Moving.Retaken
		return a.driver.Adopt(ctx, op.Instance, *mark)
	})
	return journal.Outcome{}, errors.Join(fmt.Errorf("host %s has not taken the instance and will not; it is here again, as generation %d", a.HostName(op.Moving.To), op.Moving.Retaken), err)
}

// removeGiven removes the machine of an instance that is another host's by now. One
// that somebody has started meanwhile stays, superseded, for a person to decide.
func (a *Agent) removeGiven(ctx context.Context, op *journal.Operation) (journal.Outcome, error) {
	err := a.persist(ctx, func() error {
		m, err := a.driver.Inspect(ctx, op.Instance)
		switch {
		case err != nil && !errors.Is(err, drivers.ErrNotFound): // of which a disk may be left
			return err
		case err == nil && m.Power != fleet.PowerStopped:
			return fmt.Errorf("host %s has the instance, and the machine here was started all the same; it stays until somebody decides", a.HostName(op.Moving.To))
		default:
			return a.driver.Delete(ctx, op.Instance)
		}
	})
	if err != nil {
		return journal.Outcome{}, err
	}
	return journal.Outcome{Release: true, Deleted: &journal.Deletion{
		Instance: op.Instance, RequestHash: op.Moving.RequestHash, At: time.Now(), To: op.Moving.To,
	}}, nil
}

// moved is the refusal of a request for an instance that has gone to another host.
func (a *Agent) moved(d *journal.Deletion) error {
	host := a.hostRow()
	return refused(&host, []fleet.Refusal{{
		Code: fleet.RefuseMoved, Host: d.To, Detail: fmt.Sprintf("it had this instance, which has been moved to host %s", a.HostName(d.To)),
	}})
}
