package meshtest

import "time"

// event is something that happens to one member at a moment.
type event struct {
	at    time.Duration
	from  int    // the member that caused it
	order uint64 // among all that it caused

	// The most frequent events need no function: a write that arrives, and the
	// timer of a member.
	to    *end
	data  []byte
	rings *Member
	do    func()
}

// before orders events by what does not depend on how the fleet is divided.
func (e *event) before(o *event) bool {
	switch {
	case e.at != o.at:
		return e.at < o.at
	case e.from != o.from:
		return e.from < o.from
	default:
		return e.order < o.order
	}
}

// queue is the events to come of one shard. Writes that arrive in the order in
// which they were put in, as those with one and the same delay do, need no
// heap; there is a lane of them for each shard that they come from.
type queue struct {
	lanes []lane
	later heap
}

func (q *queue) put(e event, lane int) {
	if e.to == nil || !q.lanes[lane].put(e) {
		q.later.put(e)
	}
}

// first returns where the first event is: in a lane, or, if that is negative,
// in the heap. The event is nil when there is none.
func (q *queue) first() (in int, e *event) {
	in = -1
	if len(q.later) > 0 {
		e = &q.later[0]
	}
	for i := range q.lanes {
		if o := q.lanes[i].first(); o != nil && (e == nil || o.before(e)) {
			in, e = i, o
		}
	}
	return in, e
}

// next takes out the first event that is before a moment.
func (q *queue) next(end time.Duration) (event, bool) {
	in, e := q.first()
	switch {
	case e == nil || e.at >= end:
		return event{}, false
	case in < 0:
		return q.later.take(), true
	default:
		return q.lanes[in].take(), true
	}
}

// lane is events in order.
type lane struct {
	events []event
	taken  int
}

// put reports whether the event keeps the lane's order; it is not put in where
// it does not.
func (l *lane) put(e event) bool {
	if n := len(l.events); n > l.taken && e.before(&l.events[n-1]) {
		return false
	}
	l.events = append(l.events, e)
	return true
}

func (l *lane) first() *event {
	if l.taken == len(l.events) {
		return nil
	}
	return &l.events[l.taken]
}

func (l *lane) take() event {
	e := l.events[l.taken]
	l.events[l.taken] = event{}
	if l.taken++; l.taken > 1024 && l.taken > len(l.events)/2 {
		n := copy(l.events, l.events[l.taken:])
		clear(l.events[n:])
		l.events, l.taken = l.events[:n], 0
	}
	return e
}

// heap is events of which the first one is at hand: a binary heap.
type heap []event

func (h *heap) put(e event) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 && e.before(&s[(i-1)/2]) {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = e
}

func (h *heap) take() event {
	s := *h
	first, e := s[0], s[len(s)-1]
	s[len(s)-1] = event{}
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child+1 < len(s) && s[child+1].before(&s[child]) {
			child++
		}
		if child >= len(s) || !s[child].before(&e) {
			break
		}
		s[i] = s[child]
		i = child
	}
	s[i] = e
	return first
}
