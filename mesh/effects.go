package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/node"
)

// dialTimeout bounds the opening of a stream, TLS included.
const dialTimeout = 3 * time.Second

// effects does what the node asks for. Its methods are called with mu held, and
// leave all that waits to goroutines.
type effects Mesh

var _ node.World = (*effects)(nil)

// Wake implements node.World.
func (w *effects) Wake(l *node.Link) {
	if s, ok := l.Stream.(*stream); ok {
		notify(s.wake)
	}
}

// Dial implements node.World.
func (w *effects) Dial(d *node.Dial) {
	m, ctx := (*Mesh)(w), w.running
	if ctx == nil {
		return
	}
	w.work.Go(func() {
		conn, err := m.open(ctx, d)
		var s *stream
		m.do(func(now time.Time) {
			if l := m.node.Dialled(d, err, now); l != nil {
				s = newStream(conn, l, &m.traffic)
			}
		})
		switch {
		case s != nil:
			m.serve(ctx, s)
		case conn != nil:
			_ = conn.Close()
		}
	})
}

// open dials an agent at each of its addresses, until one answers.
func (m *Mesh) open(ctx context.Context, d *node.Dial) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	errs := []error{}
	for _, addr := range d.Addresses {
		conn, err := m.cfg.Dial(ctx, addr, d.ID)
		if err == nil {
			return conn, nil
		}
		errs = append(errs, fmt.Errorf("dial %s: %w", addr, err))
	}
	if len(errs) == 0 {
		return nil, errors.New("no address is known")
	}
	return nil, errors.Join(errs...)
}

// StoreEpoch implements node.World.
func (w *effects) StoreEpoch(epoch, incarnation uint64) {
	m := (*Mesh)(w)
	w.work.Go(func() {
		err := m.cfg.Epochs.StoreEpoch(epoch, incarnation)
		m.do(func(now time.Time) { m.node.EpochStored(err, now) })
	})
}

// Join implements node.World: one join at a time, further ones are left to the
// next occasion.
func (w *effects) Join(gossip string) {
	m, ctx := (*Mesh)(w), w.running
	select {
	case m.joining <- struct{}{}:
	default:
		return
	}
	w.work.Go(func() {
		defer func() { <-m.joining }()
		if ctx == nil || ctx.Err() != nil {
			return
		}
		if err := m.members.Join(gossip); err != nil {
			m.cfg.Log.Debug("gossip not joined", "address", gossip, "error", err)
		}
	})
}

// Fail implements node.World.
func (w *effects) Fail(err error) {
	select {
	case w.failed <- err:
	default:
	}
}

// ErrCloned is returned by Run when another machine speaks for the same host:
// two machines run on copies of one agent's disk.
var ErrCloned = node.ErrCloned

// Publish states all that there is to say about this agent's host. What did
// not change since the last time is not sent again. It returns the version
// under which the state is visible, at once here and soon everywhere, and the
// zero version while the epoch is not settled: the newest state is then
// published as soon as it is. It never waits for network or disk.
func (m *Mesh) Publish(s State) (version fleet.Version) {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	rows := m.encodeState(s)
	m.do(func(now time.Time) { version = m.node.Publish(rows, now) })
	return version
}
