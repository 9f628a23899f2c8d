package view

import (
	"context"
	"errors"
	"fmt"
	"io"

	"grapevine/api/client"
	"grapevine/fleet"
)

// Operation returns an operation as the host that keeps it tells it. It asks
// that host, and blocks until the answer is there, the host has taken too long
// for it, or ctx ends.
func (v *View) Operation(ctx context.Context, id string) (fleet.Operation, error) {
	host, _, err := fleet.ParseOperationID(id)
	if err != nil {
		return fleet.Operation{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: err.Error()}
	}
	return ask(ctx, v, host, func(ctx context.Context, at Local) (fleet.Operation, error) { return at.Operation(ctx, id) })
}

// ask reads at a host: here where it is this node's own, and otherwise at its
// agent, which has AnswerWithin for the whole answer.
func ask[T any](ctx context.Context, v *View, host fleet.HostID, read func(context.Context, Local) (T, error)) (T, error) {
	if v.isLocal(host) {
		return read(ctx, v.cfg.Local)
	}
	peer, err := v.Peer(host)
	if err != nil {
		var none T
		return none, err
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.AnswerWithin)
	defer cancel()
	answer, err := read(ctx, peer)
	return answer, v.ReadError(host, err)
}

// askOwner is ask for what the host of an instance tells of its machine.
func askOwner[T any](ctx context.Context, v *View, id fleet.InstanceID, read func(Local, context.Context, fleet.InstanceID) (T, error)) (T, error) {
	row, err := v.Instance(ctx, id)
	if err != nil {
		var none T
		return none, err
	}
	return ask(ctx, v, row.Host, func(ctx context.Context, at Local) (T, error) { return read(at, ctx, id) })
}

// InstanceLog reads what the instance has printed on its console, at its host.
// The caller closes it; ctx ends it.
func (v *View) InstanceLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	row, err := v.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	log, reading, err := v.open(ctx, row.Host, func(ctx context.Context, at Local) (io.ReadCloser, error) { return at.InstanceLog(ctx, id, part) })
	if err != nil {
		return nil, err
	}
	if part.Follow && reading != nil {
		go v.endWith(reading, log.cancel)
	}
	return log, nil
}

// endWith ends a log that is followed when the view ends, so that a node that
// stops need not cut it off. It returns when the log is closed.
func (v *View) endWith(reading context.Context, cancel context.CancelFunc) {
	select {
	case <-v.ended:
		cancel()
	case <-reading.Done():
	}
}

// Snapshots returns the snapshots of an instance as its host tells them now.
func (v *View) Snapshots(ctx context.Context, id fleet.InstanceID) (fleet.SnapshotList, error) {
	return askOwner(ctx, v, id, Local.Snapshots)
}

// Hardware returns what a host is made of, as it tells it now.
func (v *View) Hardware(ctx context.Context, id fleet.HostID) (fleet.Hardware, error) {
	if _, err := v.Host(ctx, id); err != nil {
		return fleet.Hardware{}, err
	}
	return ask(ctx, v, id, func(ctx context.Context, at Local) (fleet.Hardware, error) { return at.Hardware(ctx, id) })
}

// PlanDrain returns how a host is being emptied, or would be, as it tells it now.
func (v *View) PlanDrain(ctx context.Context, id fleet.HostID, req fleet.DrainRequest) (fleet.Drain, error) {
	if _, err := v.Host(ctx, id); err != nil {
		return fleet.Drain{}, err
	}
	return ask(ctx, v, id, func(ctx context.Context, at Local) (fleet.Drain, error) { return at.PlanDrain(ctx, id, req) })
}

// Devices returns the devices of an instance as its host tells them now.
func (v *View) Devices(ctx context.Context, id fleet.InstanceID) (fleet.DeviceList, error) {
	return askOwner(ctx, v, id, Local.Devices)
}

// Usage returns what an instance has used as its host tells it now.
func (v *View) Usage(ctx context.Context, id fleet.InstanceID) (fleet.InstanceUsage, error) {
	return askOwner(ctx, v, id, Local.Usage)
}

func (v *View) isLocal(host fleet.HostID) bool { return v.cfg.Local != nil && host == v.cfg.Self }

// Peer returns the client of a host's agent. A host that is not known is
// not_found, and one that this node cannot hear is host_unreachable at once,
// without trying; one that is only suspect is tried. It does not connect.
func (v *View) Peer(host fleet.HostID) (*client.Client, error) {
	v.refresh()
	b := v.cfg.Source.Replica().Block(host)
	if b == nil {
		return nil, noHost(host.String())
	}
	row, ok := b.Host()
	if !ok || row.API == "" {
		return nil, &fleet.Error{Code: fleet.CodeHostUnreachable, Detail: fmt.Sprintf("host %s tells no address that this node can read; upgrade this node", host)}
	}
	v.mu.RLock()
	s, gone := v.standingOf(host), v.decided.gone[host]
	v.mu.RUnlock()
	if gone {
		return nil, noHost(host.String())
	}
	if !s.heard() {
		return nil, &fleet.Error{
			Code:   fleet.CodeHostUnreachable,
			Detail: fmt.Sprintf("host %s is %s since %s; its agent cannot be asked, try again when it is back", row.Name, s.reach, s.since.UTC().Format("2006-01-02 15:04:05 UTC")),
		}
	}
	return v.cfg.Peers.At(row.API, host)
}

// Heard reports whether the host is known and its agent can be heard now,
// whether or not its hypervisor answers.
func (v *View) Heard(host fleet.HostID) bool {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, known := v.standings[host]
	return known && s.heard() && !v.decided.gone[host]
}

// ReadError turns the error of a read at a host into one that people may see.
// That no answer came is the same to a reader, whether or not the host got the
// question. Nil stays nil.
func (v *View) ReadError(host fleet.HostID, err error) error {
	if errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown) {
		return &fleet.Error{Code: fleet.CodeHostUnreachable, Detail: fmt.Sprintf("host %s did not answer: %v", v.HostName(host), err)}
	}
	return err
}

// HostName returns what people call a host: its name, or its id where the name
// is not known.
func (v *View) HostName(id fleet.HostID) string {
	if b := v.cfg.Source.Replica().Block(id); b != nil && b.HostName() != "" {
		return b.HostName()
	}
	return id.String()
}
