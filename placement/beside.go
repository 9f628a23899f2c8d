package placement

import (
	"math/rand/v2"

	"grapevine/fleet"
)

// Taken is what was just proposed to a host, and is not in the row that is known
// of it: until a row of the version At, or while that is zero.
type Taken struct {
	Host fleet.HostID
	fleet.Resources
	At fleet.Version
}

// PickBeside is Pick for one of several requests that are made together. Each
// host counts as having so much less free as was taken of it, so that they do
// not all want the host that was best before the first of them. Where nothing
// fits then, it is Pick: what was taken is not sure, and refuses nobody.
func (x *Index) PickBeside(req *fleet.Request, how fleet.Strategy, exclude map[fleet.HostID]bool, taken []Taken, rng *rand.Rand) (fleet.HostID, bool) {
	x.withhold(taken, -1)
	id, ok := x.Pick(req, how, exclude, rng)
	x.withhold(taken, 1)
	if !ok && len(taken) > 0 {
		return x.Pick(req, how, exclude, rng)
	}
	return id, ok
}

// withhold takes from the hosts what was taken of them, or with the sign 1 gives
// it back.
func (x *Index) withhold(taken []Taken, sign int64) {
	var buf fleet.Host
	for i := range taken {
		t := &taken[i]
		slot, known := x.at.find(t.Host, x.rows)
		if !known {
			continue
		}
		class := x.classes.seats[slot].class
		if r := &x.rows[slot]; class != closed && (t.At.IsZero() || !r.version.AtLeast(t.At)) {
			r.free = r.free.Plus(fleet.Resources{VCPUs: sign * t.VCPUs, MemoryMiB: sign * t.MemoryMiB, DiskGiB: sign * t.DiskGiB})
			assemble(&buf, r, &x.classes.list[class].kind)
			x.classes.change(slot, newRoom(&buf.Capacity))
		}
	}
}
