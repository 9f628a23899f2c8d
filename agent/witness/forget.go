package witness

import (
	"time"

	"grapevine/fleet"
)

// Watch is what a witness has seen, since it started, of the instances that
// have keys: how long each has been missed. Times are those of its own clock,
// which goes on evenly (time.Time as time.Now returns it).
type Watch struct {
	missed map[fleet.UUID]Missed
}

// Missed is since when a key's instance is missed, under which ballot, and
// whether it was there before.
type Missed struct {
	Accepted fleet.Ballot
	Since    time.Time
	Seen     bool
}

// NewWatch begins to watch: after a start all times begin anew.
func NewWatch() *Watch { return &Watch{missed: map[fleet.UUID]Missed{}} }

// Look considers an entry with what the witness's own replica shows: whether
// the host that the key was given to shows the instance, and whether that host
// can be heard. Where it cannot, nothing is concluded, and the time begins anew
// when it is back, because what the host says first may be what it said long
// ago. Look reports whether the entry is to be dropped.
func (w *Watch) Look(e fleet.GrantEntry, now time.Time, there, heard bool) (drop bool) {
	m := w.missed[e.Key]
	if m.Accepted != e.Accepted {
		m = Missed{Accepted: e.Accepted, Seen: m.Seen && !e.Accepted.IsZero()}
	}
	switch {
	case e.Grant != nil && e.Grant.Kind == fleet.GrantSet:
		return false
	case e.Grant != nil && !e.Grant.Released && !heard:
		m.Since = time.Time{}
	case e.Grant != nil && !e.Grant.Released && there:
		m.Since, m.Seen = time.Time{}, true
	case m.Since.IsZero():
		m.Since = now
	}
	w.missed[e.Key] = m
	return !m.Since.IsZero() && now.Sub(m.Since) > keep(e.Grant, m.Seen)
}

// keep is how long an entry stays whose instance is missed. A promise without a
// grant is over with its round. What was given back stands in nobody's way, and
// is kept so that an older entry at another witness does not come to light.
func keep(g *fleet.Grant, seen bool) time.Duration {
	switch {
	case g == nil:
		return fleet.GrantLife
	case seen && g.Kind != fleet.GrantCreate && !g.Released:
		return fleet.ReleaseAfter
	default:
		return fleet.GrantKeep
	}
}

// Forget ends the watch of a key that was dropped or is unknown.
func (w *Watch) Forget(key fleet.UUID) { delete(w.missed, key) }

// Drop raises the floor over what is dropped. The journal has both in one write.
func (o *Office) Drop(e fleet.GrantEntry) {
	o.Floor = max(o.Floor, e.Promised.Round, e.Accepted.Round)
}
