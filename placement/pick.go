package placement

import (
	"math/bits"
	"math/rand/v2"

	"grapevine/fleet"
)

// Pick proposes a host for the request: of SampleSize hosts that fit, drawn at
// random, the one with the highest Score. With fleet.Pack they are drawn from
// the sixteenth that has least free memory (or more, while none of it fits),
// otherwise from all.
// Hosts in exclude, which may be nil, are passed over. It reports false when,
// and only when, no host fits. It allocates nothing in a fleet of up to 128
// classes.
//
// Of an image that others can fetch, the best of the holders and the best of
// all are drawn, and the better one is proposed; where at least half of all
// hosts hold it, a holder that fits is good enough.
func (x *Index) Pick(req *fleet.Request, how fleet.Strategy, exclude map[fleet.HostID]bool, rng *rand.Rand) (fleet.HostID, bool) {
	if req.Group.IsZero() {
		return x.pickAny(req, how, exclude, rng)
	}
	return x.pickFor(req, how, exclude, rng)
}

// pickAny is Pick with no regard to groups.
func (x *Index) pickAny(req *fleet.Request, how fleet.Strategy, exclude map[fleet.HostID]bool, rng *rand.Rand) (fleet.HostID, bool) {
	if !req.Host.IsZero() {
		slot, known := x.at.find(req.Host, x.rows)
		return pickedIf(req.Host, known && !exclude[req.Host] && x.takes(slot, req))
	}
	q := query{how: how, need: newNeed(req.Resources), exclude: exclude, rng: rng}
	q.low = bucketOf(q.need.memory)
	var labels [fleet.MaxLabels]*bitmap
	var known bool
	if q.labels, known = x.labelled(req.HostLabels, labels[:0]); !known {
		return fleet.HostID{}, false
	}
	if req.Image == "" {
		slot, ok := x.pick(&q, req, "")
		return x.picked(slot, ok)
	}
	var holder int32
	held := false
	if q.image = x.images[req.Image]; q.image != nil {
		holder, held = x.pick(&q, req, "")
	}
	if req.Obtain == "" || held && 2*q.image.n >= x.at.n {
		return x.picked(holder, held)
	}
	q.image = nil
	other, found := x.pick(&q, req, req.Obtain)
	if !held || found && x.score(other, req, how) > x.score(holder, req, how) {
		return x.picked(other, found)
	}
	return x.picked(holder, held)
}

// pick chooses among the hosts that the query lets through and that have, if it
// is not empty, one trait more than the request asks for.
func (x *Index) pick(q *query, req *fleet.Request, trait string) (slot int32, ok bool) {
	var filters [8]*bitmap
	var spans [128]span
	admitted, ok := x.classes.filters(req, filters[:0])
	if trait != "" {
		further := x.classes.traits[trait]
		admitted, ok = append(admitted, further), ok && further != nil
	}
	if !ok {
		return 0, false
	}
	var s sample
	f := x.field(admitted, q.low, spans[:0])
	x.draw(q, &f, admitted, &s)
	if s.n == 0 {
		return 0, false
	}
	if slot, ok := x.choose(&s, req); ok {
		return slot, true
	}
	x.drawThoroughly(q, req, &s)
	return x.choose(&s, req)
}

func (x *Index) picked(slot int32, ok bool) (fleet.HostID, bool) {
	if !ok {
		return fleet.HostID{}, false
	}
	return x.rows[slot].id(), true
}

func (x *Index) score(slot int32, req *fleet.Request, how fleet.Strategy) float64 {
	var buf fleet.Host
	return Score(x.host(slot, &buf), req, how)
}

// takes reports whether the host in this slot fits.
func (x *Index) takes(slot int32, req *fleet.Request) bool {
	var buf fleet.Host
	return len(Judge(x.host(slot, &buf), req)) == 0
}

func pickedIf(id fleet.HostID, ok bool) (fleet.HostID, bool) {
	if !ok {
		return fleet.HostID{}, false
	}
	return id, true
}

// query is a request as a search for it needs it.
type query struct {
	how     fleet.Strategy
	need    need
	low     int32     // the lowest bucket with enough memory
	image   *bitmap   // the holders of the image asked for; nil: none is
	labels  []*bitmap // the hosts with each label asked for, the fewest first
	exclude map[fleet.HostID]bool
	rng     *rand.Rand
}

// span is the members of one class from the query's lowest bucket on; before
// is how many there are in the spans before it.
type span struct{ class, before int32 }

// field is the hosts that the filters and the buckets leave.
type field struct {
	spans []span
	from  []int32 // by class, where its span begins
	total int     // hosts
}

// field lists the hosts of the classes that are in all filters, as far as
// their memory may suffice. It is a value so that its spans stay on the stack.
func (x *Index) field(filters []*bitmap, low int32, spans []span) field {
	start, end := x.classes.start[low], x.classes.start[buckets]
	first, total := filters[0], int32(0)
	for w := first.base; w < first.base+len(first.words); w++ {
		word := first.word(w)
		for _, b := range filters[1:] {
			word &= b.word(w)
		}
		for ; word != 0; word &= word - 1 {
			class := int32(w<<6 + bits.TrailingZeros64(word))
			if n := end[class] - start[class]; n > 0 {
				spans = append(spans, span{class: class, before: total})
				total += n
			}
		}
	}
	return field{spans: spans, from: start, total: int(total)}
}

// seat returns the seat at place i of the field. It searches without a branch,
// which nobody could predict, so that the searches for several places overlap.
func (f *field) seat(i int32) seat {
	low := 0
	for n := len(f.spans); n > 1; {
		half := n / 2
		beyond := (i - f.spans[low+half].before) >> 31 // -1: the place is further down; 0: there or further up
		low += half &^ int(beyond)
		n -= half
	}
	sp := &f.spans[low]
	return seat{sp.class, f.from[sp.class] + i - sp.before}
}

// admits reports whether a host has room for the query, and the image. It is
// fleet.Fits as far as that is not the class's business.
func (x *Index) admits(q *query, at seat, r *room) bool {
	return r.holds(&q.need) && (q.image == nil || q.image.has(x.classes.slot(at))) &&
		(len(q.labels) == 0 || inEach(q.labels, x.classes.slot(at))) &&
		(len(q.exclude) == 0 || !q.exclude[x.rows[x.classes.slot(at)].id()])
}

// few returns the smallest set that the hosts must be in: the holders of the
// image, or those with a label; nil when neither is asked for.
func (q *query) few() *bitmap {
	if len(q.labels) > 0 && (q.image == nil || q.labels[0].n < q.image.n) {
		return q.labels[0]
	}
	return q.image
}

// draw fills the sample. Where an image has few holders, or a label few hosts,
// looking at each of them is less work than coming across eight among all
// hosts: h holders cost h looks, eight of them among t hosts 8 t/h, each about
// twice as dear.
func (x *Index) draw(q *query, f *field, filters []*bitmap, s *sample) {
	few := q.few()
	switch {
	case f.total == 0:
	case few != nil && few.n*few.n < 16*f.total:
		x.drawThese(q, few, filters, s)
	case q.how == fleet.Pack:
		x.drawLowest(q, f, s)
	default:
		x.drawWalking(q, f, s)
	}
}
