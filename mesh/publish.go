package mesh

import (
	"time"

	"golang.org/x/time/rate"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// The budget of one publisher: 20 publications a second are announced, and a
// few in a row at once; more are joined into these.
const (
	publishRate  = 20
	publishBurst = 4
)

// budget says when the own block may be announced next.
type budget struct {
	limit *rate.Limiter
	next  time.Time
	owed  bool // a publication waits for next
}

func newBudget() budget { return budget{limit: rate.NewLimiter(publishRate, publishBurst)} }

// Publish states all that there is to say about this agent's host. What did
// not change since the last time is not sent again. It returns the version
// under which the state is visible, at once here and soon everywhere, and the
// zero version while the epoch is not settled: the newest state is then
// published as soon as it is. It never waits for network or disk.
func (m *Mesh) Publish(s State) fleet.Version {
	m.publishing.Lock()
	defer m.publishing.Unlock()
	rows := m.encodeState(s)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.origin == nil {
		return fleet.Version{} // a registry has nothing to say
	}
	if !m.settled {
		m.unsaid, m.waiting = rows, true
		return fleet.Version{}
	}
	return m.publishLocked(rows, time.Now())
}

func (m *Mesh) publishLocked(rows []replica.OwnRow, now time.Time) fleet.Version {
	block, changed, err := m.origin.Next(rows)
	if err != nil {
		m.cfg.Log.Error("state not published", "host", m.cfg.ID, "error", err)
		return m.replica.Version(m.cfg.ID)
	}
	m.unsaid, m.waiting = rows, true // for the next epoch, should one begin
	if !changed {
		return block.Version()
	}
	m.exchange.Install(block, now)
	m.budget.owed = true
	m.announceSelfLocked(now)
	return block.Version()
}

// announceSelfLocked announces the own block if the budget allows; otherwise
// the clockwork does, later.
func (m *Mesh) announceSelfLocked(now time.Time) {
	if !m.budget.owed {
		return
	}
	grant := m.budget.limit.ReserveN(now, 1)
	if wait := grant.DelayFrom(now); wait > 0 {
		grant.CancelAt(now)
		m.budget.next = now.Add(wait)
		notify(m.timer)
		return
	}
	m.budget.owed = false
	m.exchange.AnnounceSelf()
}

// encodeState returns the rows of a state. A row that is past its bound is
// replaced by one that says so, because a row left out would mean that its
// subject is gone.
func (m *Mesh) encodeState(s State) []replica.OwnRow {
	rows := make([]replica.OwnRow, 0, 1+len(s.Instances)+len(s.Images))
	host := wire.EncodeHost(s.Host)
	if size := len(host.Core) + len(host.Stamp); size > fleet.MaxHostRowBytes {
		m.cfg.Log.Error("host row too large", "host", m.cfg.ID, "bytes", size)
		s.Host.Traits, s.Host.HypervisorFault = nil, cut(s.Host.HypervisorFault)
		host = wire.EncodeHost(s.Host)
	}
	rows = append(rows, replica.OwnRow{Key: wire.HostKey(m.cfg.ID), Body: host})
	for _, in := range s.Instances {
		body := wire.EncodeInstance(in)
		if size := len(body.Core) + len(body.Stamp); size > fleet.MaxInstanceRowBytes {
			m.cfg.Log.Error("instance row too large", "instance", in.ID, "bytes", size)
			in.Labels, in.Addresses, in.Fault = nil, nil, cut(in.Fault)
			in.Name, in.Project = cut(in.Name), cut(in.Project)
			body = wire.EncodeInstance(in)
		}
		rows = append(rows, replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: body})
	}
	for _, im := range s.Images {
		key, ok := wire.ImageKey(im.ID)
		if !ok {
			m.cfg.Log.Error("image without a digest for an id not published", "image", im.ID)
			continue
		}
		rows = append(rows, replica.OwnRow{Key: key, Body: wire.EncodeImage(im)})
	}
	return dedupe(rows)
}

// cut shortens a text to what fits any row.
func cut(s string) string {
	const most = 1024
	if len(s) <= most {
		return s
	}
	return s[:most]
}

// dedupe keeps the last row of each key: a block cannot hold two.
func dedupe(rows []replica.OwnRow) []replica.OwnRow {
	last := make(map[wire.Key]int, len(rows))
	for i, row := range rows {
		last[row.Key] = i
	}
	if len(last) == len(rows) {
		return rows
	}
	kept := make([]replica.OwnRow, 0, len(last))
	for i, row := range rows {
		if last[row.Key] == i {
			kept = append(kept, row)
		}
	}
	return kept
}
