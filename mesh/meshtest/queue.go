package meshtest

import (
	"container/heap"
	"time"
)

// event is something that happens at a moment.
type event struct {
	at    time.Duration
	order uint64 // of being put in, among events of one moment
	do    func()

	// The most frequent events need no function: a write that arrives, and the
	// timer of a member in one of its lives.
	to    *end
	data  []byte
	rings *Member
	life  int
}

// queue is the events to come. Those of writes with one and the same delay come
// in the order in which they go, and need no heap.
type queue struct {
	later   eventHeap
	arrive  []event // in order
	taken   int     // of arrive
	ordinal uint64
}

func (q *queue) put(e event) {
	q.ordinal++
	e.order = q.ordinal
	if n := len(q.arrive); e.to != nil && (n == q.taken || q.arrive[n-1].at <= e.at) {
		q.arrive = append(q.arrive, e)
		return
	}
	heap.Push(&q.later, e)
}

// next takes out the first event that is not after until.
func (q *queue) next(until time.Duration) (event, bool) {
	arriving := q.taken < len(q.arrive)
	if len(q.later) > 0 && (!arriving || q.later[0].before(&q.arrive[q.taken])) {
		if q.later[0].at > until {
			return event{}, false
		}
		return heap.Pop(&q.later).(event), true
	}
	if !arriving || q.arrive[q.taken].at > until {
		return event{}, false
	}
	e := q.arrive[q.taken]
	q.arrive[q.taken] = event{}
	if q.taken++; q.taken > 1024 && q.taken > len(q.arrive)/2 {
		n := copy(q.arrive, q.arrive[q.taken:])
		clear(q.arrive[n:])
		q.arrive, q.taken = q.arrive[:n], 0
	}
	return e, true
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

type eventHeap []event

// Len implements heap.Interface.
func (h eventHeap) Len() int { return len(h) }

// Less implements heap.Interface.
func (h eventHeap) Less(i, j int) bool { return h[i].before(&h[j]) }

// Swap implements heap.Interface.
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push implements heap.Interface.
func (h *eventHeap) Push(x any) { *h = append(*h, x.(event)) }

// Pop implements heap.Interface.
func (h *eventHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = event{}
	*h = (*h)[:len(*h)-1]
	return last
}
