package audit

import (
	"fmt"
	"slices"

	"grapevine/fleet"
)

// Held is what somebody else holds of a host's log: an entry's name, and who says
// so.
type Held struct {
	fleet.AuditLink
	By string
}

// Check goes through a log from where it begins, entry by entry, and finds where
// it is not what it was. The zero value begins with nothing.
type Check struct {
	last   fleet.AuditLink
	held   []Held // of what others hold, that which was not come by yet, by number
	faults []string
	broken bool // what follows cannot be judged
}

// NewCheck begins a check of a log that begins after a link, against what others
// hold. What they hold of entries that the log has dropped cannot be compared.
func NewCheck(begin fleet.AuditLink, held []Held) *Check {
	held = slices.Clone(held)
	slices.SortStableFunc(held, func(a, b Held) int { return int(min(max(int64(a.Number)-int64(b.Number), -1), 1)) })
	held = slices.DeleteFunc(held, func(h Held) bool { return h.Number < begin.Number || h.Number == 0 })
	c := &Check{last: begin, held: held}
	c.compare(begin)
	return c
}

// Take checks the next entries.
func (c *Check) Take(entries ...fleet.AuditEntry) {
	for i := range entries {
		if c.broken {
			return
		}
		c.take(&entries[i])
	}
}

func (c *Check) take(e *fleet.AuditEntry) {
	switch hash := Hash(e); {
	case e.Form != fleet.AuditForm:
		c.stop("entry %d has form %d, and this release can check form %d alone; use a newer grapevine", e.Number, e.Form, fleet.AuditForm)
		return
	case e.Number != c.last.Number+1:
		c.stop("entry %d follows entry %d: what should be between them is missing, or something was put in", e.Number, c.last.Number)
		return
	case e.Before != c.last.Hash:
		c.stop("entry %d does not follow from entry %d: one of the two was changed or put in its place", e.Number, c.last.Number)
		return
	case hash != e.Hash:
		c.stop("entry %d was changed: its content does not give its hash", e.Number)
		return
	}
	c.last = e.Link()
	c.compare(c.last)
}

// stop notes what makes all that follows worthless.
func (c *Check) stop(format string, args ...any) {
	c.fault(format, args...)
	c.broken = true
}

func (c *Check) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// compare looks at what others hold of an entry.
func (c *Check) compare(link fleet.AuditLink) {
	for len(c.held) > 0 && c.held[0].Number == link.Number {
		if h := c.held[0]; h.Hash != link.Hash {
			c.fault("entry %d is not the one that %s heard of: it, or one before it, was written anew", link.Number, h.By)
		}
		c.held = c.held[1:]
	}
}

// End ends the check of a log that says that it ends with head, and returns what
// is wrong with it, nothing for one that is whole.
func (c *Check) End(head fleet.AuditLink) []string {
	switch {
	case c.broken:
	case c.last != head:
		c.fault("the log ends with entry %d, and its host says that it ends with entry %d", c.last.Number, head.Number)
	case len(c.held) > 0:
		last := c.held[len(c.held)-1]
		c.fault("the log ends with entry %d, and %s heard of entry %d: it was cut back, or the host's journal was lost or restored from an old copy", c.last.Number, last.By, last.Number)
	}
	return c.faults
}
