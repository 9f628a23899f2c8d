package witnesses

import (
	"fmt"
	"time"

	"grapevine/fleet"
	"grapevine/grants"
)

// checks are what must hold: whatever an asker was told is decided is so for all
// who ask.
type checks struct {
	w *world
	// given has what each attempt of a key was given to, and latest the highest
	// attempt that was known at a time: who begins to ask later finds no less.
	given  map[fleet.UUID]map[uint32]fleet.UUID
	latest map[fleet.UUID]fact
	// holder has the instance that holds a name, until it ends; there are those
	// that a host shows.
	holder map[fleet.UUID]fleet.InstanceID
	there  map[fleet.InstanceID]bool
	broken error
}

type fact struct {
	attempt uint32
	at      time.Duration
}

func newChecks(w *world) checks {
	return checks{
		w: w, given: map[fleet.UUID]map[uint32]fleet.UUID{}, latest: map[fleet.UUID]fact{},
		holder: map[fleet.UUID]fleet.InstanceID{}, there: map[fleet.InstanceID]bool{},
	}
}

// decided checks an outcome.
func (c *checks) decided(q *request, o grants.Outcome) {
	if o.Stored {
		c.w.count.stored++
	} else {
		c.w.count.read++
	}
	if o.Stored && o.Grant.Kind == fleet.GrantName && !o.Grant.Released {
		if other, held := c.holder[q.key]; held && other != o.Grant.Instance {
			c.broken = fmt.Errorf("name %s was given to %s while %s had it", q.key, o.Grant.Instance, other)
		}
		c.holder[q.key] = o.Grant.Instance
	}
	if q.change.Grant != nil && q.change.Grant.Kind != fleet.GrantName { // names are forgotten, and begin anew
		c.linear(q, o)
	}
}

// linear checks that a key has one history, and that all see it go forward.
func (c *checks) linear(q *request, o grants.Outcome) {
	attempt, token := uint32(0), fleet.UUID{}
	if o.Grant != nil {
		attempt, token = o.Grant.Attempt, o.Grant.Token
	}
	if known := c.latest[q.key]; known.attempt > attempt && known.at <= q.from {
		c.broken = fmt.Errorf("key %s held attempt %d, and %d for one who asked later", q.key, known.attempt, attempt)
		return
	}
	if c.given[q.key] == nil {
		c.given[q.key] = map[uint32]fleet.UUID{}
	}
	if other, ok := c.given[q.key][attempt]; ok && other != token {
		c.broken = fmt.Errorf("attempt %d of key %s was given to %s and to %s", attempt, q.key, other, token)
	}
	c.given[q.key][attempt] = token
	if attempt > c.latest[q.key].attempt {
		c.latest[q.key] = fact{attempt, c.w.now}
	}
}

// ends says that an instance needs its name no more.
func (c *checks) ends(key fleet.UUID, id fleet.InstanceID) {
	if c.holder[key] == id {
		delete(c.holder, key)
	}
}
