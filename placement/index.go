package placement

import (
	"math/rand/v2"
	"slices"

	"grapevine/fleet"
)

// Index is what placement knows of the hosts: the newest row of each, with the
// reachability that the reading node laid over it, and what finds one fast. It
// is not safe for concurrent use where one call is Update or Remove; the
// caller locks.
type Index struct {
	rows    []fleet.Host // by slot; a slot without a host is zero and in spare
	spare   []int32
	at      map[fleet.HostID]int32
	classes classes
	images  sets // slots of the holders, by image id
}

// NewIndex returns an index of these hosts.
func NewIndex(hosts []fleet.Host) *Index {
	x := &Index{at: make(map[fleet.HostID]int32, len(hosts)), classes: newClasses(), images: sets{}}
	for i := range hosts {
		x.Update(hosts[i])
	}
	return x
}

// Len returns how many hosts the index knows, fit for something or not.
func (x *Index) Len() int { return len(x.at) }

// Update takes in a host's row and keeps its slices, which the caller no
// longer changes. An older row than the one known changes only the
// reachability: a row that came with a host's refusal may be ahead of what
// gossip has brought so far.
func (x *Index) Update(host fleet.Host) {
	slot, known := x.at[host.ID]
	if !known {
		slot = x.newSlot(host.ID)
	}
	row := &x.rows[slot]
	if known && newer(row.Version, host.Version) {
		row.Reachability, row.ReachabilitySince = host.Reachability, host.ReachabilitySince
		x.seat(slot, true)
		return
	}
	x.restock(slot, row.Images, host.Images)
	same := alike(row, &host)
	*row = host
	x.seat(slot, same)
}

// newer reports whether the held version is strictly newer than the other.
func newer(held, other fleet.Version) bool { return held.AtLeast(other) && held != other }

// newSlot returns a slot for a host, whose row is still zero.
func (x *Index) newSlot(id fleet.HostID) int32 {
	if len(x.spare) == 0 {
		x.spare = append(x.spare, int32(len(x.rows)))
		x.rows = append(x.rows, fleet.Host{})
		x.classes.seats = append(x.classes.seats, seat{})
	}
	slot := x.spare[len(x.spare)-1]
	x.spare = x.spare[:len(x.spare)-1]
	x.classes.seats[slot].class = closed
	x.at[id] = slot
	return slot
}

// anything is a request without a wish. A host that does not fit it, because
// of its state or because it is not heard, fits none.
var anything fleet.Request

// seat puts a host, by its row, where choices find it. Same says that its
// class is as it was if it had one.
func (x *Index) seat(slot int32, same bool) {
	host := &x.rows[slot]
	open, seated := len(Judge(host, &anything)) == 0, x.classes.seats[slot].class != closed
	if seated && (!open || !same) {
		x.classes.leave(slot)
		seated = false
	}
	switch m := newRoom(slot, &host.Capacity); {
	case seated:
		x.classes.change(m)
	case open:
		x.classes.enter(host, m)
	}
}

// restock keeps the holders of images.
func (x *Index) restock(slot int32, before, after []string) {
	if slices.Equal(before, after) {
		return
	}
	for _, image := range before {
		x.images.remove(image, slot)
	}
	for _, image := range after {
		x.images.add(image, slot)
	}
}

// Remove drops a host that was forgotten. One that is not known is no error.
func (x *Index) Remove(id fleet.HostID) {
	slot, known := x.at[id]
	if !known {
		return
	}
	if x.classes.seats[slot].class != closed {
		x.classes.leave(slot)
	}
	x.restock(slot, x.rows[slot].Images, nil)
	x.rows[slot] = fleet.Host{}
	x.spare = append(x.spare, slot)
	delete(x.at, id)
}

// Explain is a dry run of Pick: where the request would go, and a verdict on
// every host. Two runs may choose differently where several hosts fit; the
// caller fills in the coverage.
func (x *Index) Explain(req *fleet.Request, how fleet.Strategy, rng *rand.Rand) fleet.Explanation {
	e := fleet.Explanation{Strategy: how, Verdicts: x.Verdicts(req, how, nil)}
	if id, ok := x.Pick(req, how, nil, rng); ok {
		e.Chosen, e.ChosenName = id, x.rows[x.at[id]].Name
	}
	return e
}

// Verdicts judges every host but those in exclude, ordered by name.
func (x *Index) Verdicts(req *fleet.Request, how fleet.Strategy, exclude map[fleet.HostID]bool) []fleet.Verdict {
	verdicts := make([]fleet.Verdict, 0, len(x.at))
	for id, slot := range x.at {
		if !exclude[id] {
			verdicts = append(verdicts, verdict(&x.rows[slot], req, how))
		}
	}
	Order(verdicts)
	return verdicts
}
