package view

import (
	"context"
	"fmt"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// catchUp is how long a read waits for the replica before the owner is asked:
// twice the time in which a change has reached 99 % of 10,000 nodes. Most reads
// that come too early are answered here, and the owner is spared.
const catchUp = 200 * time.Millisecond

// Current waits a moment until this node holds the block of host at.Host at
// version at or newer. It returns nil then, and otherwise the client of that
// host's agent, whose reads are not older than at. Where that cannot be asked,
// or is this node, the error is fleet.CodeNotCurrent.
func (v *View) Current(ctx context.Context, at fleet.Version) (*client.Client, error) {
	if v.holds(ctx, at) {
		return nil, nil
	}
	if v.isLocal(at.Host) {
		return nil, notCurrent("host %s has not come to version %d:%d of its account yet", v.HostName(at.Host), at.Epoch, at.Seq)
	}
	peer, err := v.Peer(at.Host)
	if err != nil {
		return nil, notCurrent("this node has not heard of version %d:%d of host %s, which cannot be asked: %w", at.Epoch, at.Seq, v.HostName(at.Host), err)
	}
	return peer.AtLeast(at), nil
}

// holds waits for the block, for catchUp at most.
func (v *View) holds(ctx context.Context, at fleet.Version) bool {
	ctx, cancel := context.WithTimeout(ctx, catchUp)
	defer cancel()
	blocks := v.cfg.Source.Replica()
	for {
		changed := blocks.Changed()
		if b := blocks.Block(at.Host); b != nil && b.Version().AtLeast(at) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-changed:
		}
	}
}

// Behind turns the error of a read at the host of a version, which this node
// does not hold, into one that people may see.
func (v *View) Behind(at fleet.Version, err error) error {
	return v.mustAnswer(at.Host, err, "this node has not heard of version %d:%d of host %s, and the host could not answer itself", at.Epoch, at.Seq, v.HostName(at.Host))
}

// FreshInstance returns an instance as its host has just seen it. It asks the
// host, and blocks until the answer is there, the host has taken too long for
// it, or ctx ends. All hosts are asked for one of which this node has not heard.
func (v *View) FreshInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	row, err := v.Instance(ctx, id)
	if fleet.CodeOf(err) == fleet.CodeNotFound {
		return v.search(ctx, id)
	}
	if err != nil {
		return fleet.Instance{}, err
	}
	fresh, err := ask(ctx, v, row.Host, func(ctx context.Context, at Local) (fleet.Instance, error) { return at.OwnInstance(ctx, id) })
	return fresh, v.mustAnswer(row.Host, err, "instance %s could not be read at its host", id)
}

// FreshHost returns a host as its agent has just seen it, as FreshInstance does.
func (v *View) FreshHost(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	if _, err := v.Host(ctx, id); err != nil {
		return fleet.Host{}, err
	}
	host, err := ask(ctx, v, id, func(ctx context.Context, at Local) (fleet.Host, error) { return at.OwnHost(ctx, id) })
	return host, v.mustAnswer(id, err, "host %s could not be asked", v.HostName(id))
}

// mustAnswer is the error of a read for which no other node's word will do: that
// the host did not answer, or is not the one, means that nobody has.
func (v *View) mustAnswer(host fleet.HostID, err error, what string, args ...any) error {
	err = v.ReadError(host, err)
	switch fleet.CodeOf(err) {
	case fleet.CodeHostUnreachable, fleet.CodeMisdirected, fleet.CodeNotReady, fleet.CodeNotCurrent:
		return notCurrent("%s: %w", fmt.Sprintf(what, args...), err)
	default:
		return err
	}
}

func notCurrent(format string, args ...any) error {
	return &fleet.Error{Code: fleet.CodeNotCurrent, Detail: fmt.Errorf(format, args...).Error() + "; try again in a moment, or read what was last heard by not asking for more"}
}
