package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/internal/pause"
	"grapevine/mesh/wire"
)

const (
	// redrawEvery is how often one outbound link is replaced by one to another
	// peer, so that no two halves of a fleet can stay apart for long.
	redrawEvery = time.Minute
	// healEvery is how often a member that gossip has lost is dialled.
	healEvery    = 2 * time.Second
	dialTimeout  = 5 * time.Second
	minRedial    = 500 * time.Millisecond
	maxRedial    = 30 * time.Second
	reconnectMax = 250 * time.Millisecond // jitter after a link was lost
)

// dials is what is known of dialling: who is being dialled, and who is left
// alone for a while because it failed.
type dials struct {
	busy  map[fleet.UUID]bool
	later map[fleet.UUID]redial
}

type redial struct {
	at   time.Time
	wait time.Duration
}

func (d *dials) init() {
	d.busy, d.later = map[fleet.UUID]bool{}, map[fleet.UUID]redial{}
}

func (d *dials) failed(id fleet.UUID, now time.Time) {
	wait := min(max(2*d.later[id].wait, minRedial), maxRedial)
	d.later[id] = redial{at: now.Add(jitter(wait)), wait: wait}
}

// keepLinks keeps as many outbound links open as configured, to random agents,
// and redraws one every minute or so.
func (m *Mesh) keepLinks(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	redraw := time.NewTimer(jitter(redrawEvery))
	defer redraw.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		changed := m.members.Changed()
		if m.fill(ctx, &wg) {
			retry.Reset(minRedial)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-retry.C:
		case <-m.linksMoved:
			if !pause.For(ctx, rand.N(reconnectMax)) { // no secret
				return nil
			}
		case <-redraw.C:
			redraw.Reset(jitter(redrawEvery))
			m.draw(ctx, &wg, 1, true)
		}
	}
}

// fill dials as many peers as links are missing, and reports whether some
// still are and should be tried again without anything else happening.
func (m *Mesh) fill(ctx context.Context, wg *sync.WaitGroup) bool {
	m.mu.Lock()
	need := m.cfg.Links - len(m.dials.busy) - m.outboundLocked()
	m.mu.Unlock()
	if need <= 0 {
		return false
	}
	return m.draw(ctx, wg, need, false) > 0
}

func (m *Mesh) outboundLocked() int {
	n := 0
	for l := range m.links {
		if l.outbound {
			n++
		}
	}
	return n
}

// draw dials n random agents that there is no link with. It returns how many
// more there would have been to dial but for their back-off.
func (m *Mesh) draw(ctx context.Context, wg *sync.WaitGroup, n int, redraw bool) int {
	others := m.otherAgents()
	rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	m.mu.Lock()
	defer m.mu.Unlock()
	now, resting := time.Now(), 0
	linked := m.linkedLocked()
	for _, o := range others {
		if n == 0 {
			break
		}
		if linked[o.ID] || m.dials.busy[o.ID] {
			continue
		}
		if now.Before(m.dials.later[o.ID].at) {
			resting++
			continue
		}
		n--
		m.dials.busy[o.ID] = true
		wg.Go(func() { m.dial(ctx, o, redraw) })
	}
	return resting
}

func (m *Mesh) linkedLocked() map[fleet.UUID]bool {
	linked := make(map[fleet.UUID]bool, len(m.links))
	for l := range m.links {
		linked[l.peer.ID] = true
	}
	return linked
}

// dial opens a link to an agent and serves it until it ends.
func (m *Mesh) dial(ctx context.Context, to fleet.Member, redraw bool) {
	l, err := m.open(ctx, to)
	m.mu.Lock()
	delete(m.dials.busy, to.ID)
	if err != nil {
		m.dials.failed(to.ID, time.Now())
	}
	m.mu.Unlock()
	if err != nil {
		m.logDial(to, err)
		notify(m.linksMoved)
		return
	}
	err = m.serve(ctx, l, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.dials.later, to.ID)
		if redraw {
			m.dropOldestLocked(l)
		}
	})
	m.cfg.Log.Debug("link ended", "peer", to.ID, "peer_name", to.Name, "error", err)
	var bye *byeError
	if errors.As(err, &bye) && bye.Reason != wire.ByeDuplicate {
		m.mu.Lock()
		m.dials.failed(to.ID, time.Now()) // it did not want this link: try others first
		m.mu.Unlock()
	}
}

// dropOldestLocked ends the oldest outbound link when there are more than
// configured.
func (m *Mesh) dropOldestLocked(except *link) {
	if m.outboundLocked() <= m.cfg.Links {
		return
	}
	var oldest *link
	for l := range m.links {
		if l.outbound && l != except && (oldest == nil || l.up.Before(oldest.up)) {
			oldest = l
		}
	}
	if oldest != nil {
		oldest.stop(wire.ByeRedrawn, "another peer was drawn")
	}
}

// open dials an agent, at the address that its gossip tells and at the one
// that its own block tells, and exchanges hellos.
func (m *Mesh) open(ctx context.Context, to fleet.Member) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addresses := []string{to.API}
	if b := m.replica.Block(to.ID); b != nil {
		if h, ok := b.Host(); ok && h.API != "" && !slices.Contains(addresses, h.API) {
			addresses = append(addresses, h.API)
		}
	}
	var errs []error
	for _, addr := range addresses {
		if addr == "" {
			continue
		}
		conn, err := m.cfg.Dial(ctx, addr, to.ID)
		if err != nil {
			errs = append(errs, fmt.Errorf("dial %s: %w", addr, err))
			continue
		}
		l := newLink(conn, true, &m.traffic)
		if err := m.greet(ctx, l, to.ID); err != nil {
			_ = conn.Close()
			errs = append(errs, fmt.Errorf("greet %s: %w", addr, err))
			continue
		}
		return l, nil
	}
	if len(errs) == 0 {
		errs = append(errs, errors.New("no address is known"))
	}
	return nil, errors.Join(errs...)
}

// logDial reports a link that did not come about: loudly where a person has to
// act, quietly where the next try may do.
func (m *Mesh) logDial(to fleet.Member, err error) {
	var bye *byeError
	if errors.As(err, &bye) && (bye.Reason == wire.ByeVersion || bye.Reason == wire.ByeLabel || bye.Reason == wire.ByeIdentity) {
		m.cfg.Log.Warn("no link possible", "peer", to.ID, "peer_name", to.Name, "error", err)
		return
	}
	m.cfg.Log.Debug("link not opened", "peer", to.ID, "peer_name", to.Name, "error", err)
}
