package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// detection is how long gossip takes to find out that a member is gone, or
// back.
const detection = 8 * time.Second

// history is one random history of a fleet.
type history struct {
	fleet   *meshtest.Fleet
	rng     *rand.Rand
	rows    map[*meshtest.Member][]replica.OwnRow // what each says of itself
	liar    *meshtest.Member                      // whose writes are garbage now and then; nil for none
	lying   bool
	steps   []string // what happened, for people
	checks  *checks
	sighted map[[2]int]time.Duration // since when one member cannot reach another
}

// newHistory starts a fleet as its seed says.
func newHistory(seed uint64) *history {
	rng := rand.New(rand.NewPCG(seed, 7)) // repeatable
	opts := meshtest.FleetOptions{Seed: seed, MinDelay: 200 * time.Microsecond, MaxDelay: 200*time.Microsecond + time.Duration(rng.Int64N(int64(20*time.Millisecond)))}
	h := &history{
		fleet: meshtest.NewFleet(3+rng.IntN(8), opts), rng: rng,
		rows: map[*meshtest.Member][]replica.OwnRow{}, sighted: map[[2]int]time.Duration{},
	}
	if rng.IntN(2) == 0 {
		h.fleet.Add(fleet.RoleRegistry)
	}
	if rng.IntN(4) == 0 {
		h.liar = h.fleet.Nodes[0]
	}
	h.checks = newChecks(h)
	for _, m := range h.fleet.Nodes {
		if rng.IntN(2) == 0 {
			m.Skew = time.Duration(rng.IntN(20)-10) * 365 * 24 * time.Hour
		}
		h.start(m)
	}
	h.look()
	return h
}

func (h *history) note(format string, args ...any) {
	h.steps = append(h.steps, fmt.Sprintf("%8v ", h.fleet.Clock().Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (h *history) String() string { return strings.Join(h.steps, "\n") }

// live goes through so many random steps.
func (h *history) live(steps int) error {
	for range steps {
		h.step()
		h.fleet.Run(time.Duration(h.rng.Int64N(int64(3 * time.Second))))
		h.look()
		if err := h.checks.now(); err != nil {
			return err
		}
	}
	return nil
}

// step does one thing to the fleet.
func (h *history) step() {
	f := h.fleet
	m, o := f.Nodes[h.rng.IntN(len(f.Nodes))], f.Nodes[h.rng.IntN(len(f.Nodes))]
	switch h.rng.IntN(16) {
	case 0:
		if m.Up {
			lives := h.rng.IntN(2) == 0
			h.note("kill %d, its machine lives on: %v", m.Index, lives)
			f.Kill(m, lives)
		}
	case 1, 2, 3:
		if !m.Up {
			if h.rng.IntN(4) == 0 {
				h.note("%d loses its disk", m.Index)
				f.WipeDisk(m)
			}
			h.start(m)
		}
	case 4:
		h.note("cut %d -> %d", m.Index, o.Index)
		f.Cut(m, o)
	case 5:
		h.note("cut %d <-> %d", m.Index, o.Index)
		f.Cut(m, o)
		f.Cut(o, m)
	case 6:
		h.partition()
	case 7:
		h.note("restore")
		f.Restore()
	case 8:
		loss := h.rng.Float64() * 0.02
		h.note("lose %.3f of writes", loss)
		f.SetLoss(loss)
	case 9:
		m.DiskFull = !m.DiskFull
		h.note("disk of %d full: %v", m.Index, m.DiskFull)
	case 10:
		h.note("freeze %d", m.Index)
		f.Freeze(m)
		f.At(time.Duration(h.rng.Int64N(int64(12*time.Second))), func() { f.Thaw(m) })
	case 11:
		h.lying = !h.lying && h.liar != nil
		h.note("liar lies: %v", h.lying)
	default:
		for range 1 + h.rng.IntN(5) {
			h.publish(f.Nodes[h.rng.IntN(len(f.Nodes))])
		}
	}
}

func (h *history) partition() {
	side := map[*meshtest.Member]bool{}
	var ones []int
	for _, m := range h.fleet.Nodes {
		if side[m] = h.rng.IntN(2) == 0; side[m] {
			ones = append(ones, m.Index)
		}
	}
	h.note("partition %v from the rest", ones)
	for _, a := range h.fleet.Nodes {
		for _, b := range h.fleet.Nodes {
			if side[a] != side[b] {
				h.fleet.Cut(a, b)
			}
		}
	}
}

func (h *history) start(m *meshtest.Member) {
	h.note("start %d", m.Index)
	h.fleet.Start(m, replica.New())
	h.checks.started(m)
	if m.Role == fleet.RoleAgent {
		h.publish(m)
	}
}

// publish changes what a member says of itself, and has it said.
func (h *history) publish(m *meshtest.Member) {
	if m.Role != fleet.RoleAgent {
		return
	}
	rows := slices.Clone(h.rows[m])
	if len(rows) == 0 {
		rows = []replica.OwnRow{{Key: wire.HostKey(m.ID), Body: wire.EncodeHost(fleet.Host{ID: m.ID, Name: fmt.Sprint("host-", m.Index), Hardware: m.Hardware})}}
	}
	id := fleet.NewUUIDv5(m.ID, fmt.Sprint(h.rng.IntN(8)))
	rows = slices.DeleteFunc(rows, func(r replica.OwnRow) bool { return r.Key == wire.InstanceKey(id) })
	if h.rng.IntN(3) > 0 {
		rows = append(rows, replica.OwnRow{Key: wire.InstanceKey(id), Body: wire.Body{Core: []byte(fmt.Sprint("state ", h.rng.Uint32()))}})
	}
	h.rows[m] = rows
	h.fleet.Do(m, func(now time.Time) { m.Publish(rows, now) })
}

// look brings gossip's lists up to date: a member that cannot be reached for a
// while has failed for who cannot reach it, and one that was never heard of is
// not listed.
func (h *history) look() {
	for _, m := range h.fleet.Nodes {
		var list []fleet.Member
		for _, o := range h.fleet.Nodes {
			seen := o.Listed()
			if !h.reaches(m, o) {
				seen.Status = fleet.MemberFailed
			}
			list = append(list, seen)
		}
		slices.SortFunc(list, func(a, b fleet.Member) int { return a.ID.Compare(b.ID) })
		h.fleet.See(m, list)
	}
}

// reaches reports whether gossip still lists o as alive at m.
func (h *history) reaches(m, o *meshtest.Member) bool {
	pair := [2]int{m.Index, o.Index}
	if o.Up && !h.fleet.IsCut(m, o) && !h.fleet.IsCut(o, m) {
		delete(h.sighted, pair)
		return true
	}
	since, known := h.sighted[pair]
	if !known {
		h.sighted[pair] = h.fleet.Clock()
		return true
	}
	return h.fleet.Clock()-since < detection
}

// heal undoes all that was done to the fleet, but leaves the dead dead and the
// failed failed.
func (h *history) heal() {
	f := h.fleet
	h.note("heal")
	f.Restore()
	f.SetLoss(0)
	h.lying = false
	for _, m := range f.Nodes {
		m.DiskFull = false
		f.Thaw(m)
		if m.Up && m.Failed != nil { // its disk was full: it would be restarted
			f.Kill(m, true)
			h.start(m)
		}
	}
	clear(h.sighted)
	h.look()
}
