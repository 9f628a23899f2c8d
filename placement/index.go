package placement

import (
	"math/rand/v2"
	"slices"

	"grapevine/fleet"
)

// Index is what placement knows of the hosts: of the newest row of each what
// it judges by, with the reachability that the reading node laid over it, and
// what finds one fast. It is not safe for concurrent use where one call is
// Update or Remove; the caller locks.
type Index struct {
	rows    []row                 // by slot; a slot without a host is in spare
	shut    map[int32]*fleet.Host // the hosts that are in no class, by slot
	spare   []int32
	at      ids
	classes classes
	images  sets          // slots of the holders, by image id
	labels  setsBy[label] // slots of the hosts that have it
}

// NewIndex returns an index of these hosts.
func NewIndex(hosts []fleet.Host) *Index {
	x := &Index{shut: map[int32]*fleet.Host{}, classes: newClasses(), images: sets{}, labels: setsBy[label]{}}
	for i := range hosts {
		x.Update(&hosts[i])
	}
	return x
}

// Len returns how many hosts the index knows, fit for something or not.
func (x *Index) Len() int { return x.at.n }

// Update takes in a host's row. It keeps the row's slices, which the caller no
// longer changes, and not the row itself. An older row than the one known changes only the
// reachability: a row that came with a host's refusal may be ahead of what
// gossip has brought so far.
func (x *Index) Update(host *fleet.Host) {
	slot, known := x.at.find(host.ID, x.rows)
	if !known {
		slot = x.newSlot(host.ID)
	}
	if held := &x.rows[slot]; known && held.newer(host.Version) {
		x.hear(slot, host)
	} else {
		x.restock(slot, held.images, host.Images)
		x.relabel(slot, held.labels, host.Labels)
		held.set(host)
		x.seat(slot, host)
	}
}

// hear gives the host in this slot the reachability of an older row.
func (x *Index) hear(slot int32, older *fleet.Host) {
	host := *x.host(slot, &fleet.Host{})
	host.Reachability, host.ReachabilitySince = older.Reachability, older.ReachabilitySince
	x.seat(slot, &host)
}

// host returns the host in this slot, as far as Judge and Score look at it: in
// buf, or where it is kept.
func (x *Index) host(slot int32, buf *fleet.Host) *fleet.Host {
	class := x.classes.seats[slot].class
	if class == closed {
		return x.shut[slot]
	}
	assemble(buf, &x.rows[slot], &x.classes.list[class].kind)
	return buf
}

// newSlot returns a slot for a host, whose row is still zero.
func (x *Index) newSlot(id fleet.HostID) int32 {
	if len(x.spare) == 0 {
		x.spare = append(x.spare, int32(len(x.rows)))
		x.rows = append(x.rows, row{})
		x.classes.seats = append(x.classes.seats, seat{})
	}
	slot := x.spare[len(x.spare)-1]
	x.spare = x.spare[:len(x.spare)-1]
	x.classes.seats[slot].class = closed
	x.at.add(id, slot)
	return slot
}

// anything is a request without a wish. A host that does not fit it, because
// of its state or because it is not heard, fits none.
var anything fleet.Request

// seat puts a host where choices find it, or aside if it takes nothing.
func (x *Index) seat(slot int32, host *fleet.Host) {
	open, class := len(Judge(host, &anything)) == 0, x.classes.seats[slot].class
	switch {
	case class == closed:
		delete(x.shut, slot)
	case open && x.classes.list[class].kind.describes(host):
		x.classes.change(slot, newRoom(&host.Capacity))
		return
	default:
		x.classes.leave(slot)
	}
	if open {
		x.classes.enter(slot, kindOf(host), newRoom(&host.Capacity))
	} else {
		aside := *host
		x.shut[slot] = &aside
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
	slot, known := x.at.find(id, x.rows)
	if !known {
		return
	}
	if x.classes.seats[slot].class != closed {
		x.classes.leave(slot)
	}
	delete(x.shut, slot)
	x.restock(slot, x.rows[slot].images, nil)
	x.relabel(slot, x.rows[slot].labels, nil)
	x.rows[slot] = row{}
	x.spare = append(x.spare, slot)
	x.at.remove(id, slot)
}

// Explain is a dry run of Pick: where the request would go, and a verdict on
// every host. Two runs may choose differently where several hosts fit; the
// caller fills in the coverage.
func (x *Index) Explain(req *fleet.Request, how fleet.Strategy, rng *rand.Rand) fleet.Explanation {
	e := fleet.Explanation{Strategy: how, Verdicts: x.Verdicts(req, how, nil)}
	if id, ok := x.Pick(req, how, nil, rng); ok {
		slot, _ := x.at.find(id, x.rows)
		e.Chosen, e.ChosenName = id, x.rows[slot].name
	}
	return e
}

// Verdicts judges every host but those in exclude, ordered by name.
func (x *Index) Verdicts(req *fleet.Request, how fleet.Strategy, exclude map[fleet.HostID]bool) []fleet.Verdict {
	var buf fleet.Host
	verdicts := make([]fleet.Verdict, 0, x.at.n)
	for slot := range x.rows {
		if id := x.rows[slot].id(); !id.IsZero() && !exclude[id] {
			verdicts = append(verdicts, verdict(x.host(int32(slot), &buf), req, how))
		}
	}
	Order(verdicts)
	return verdicts
}
