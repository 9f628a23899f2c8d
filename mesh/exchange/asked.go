package exchange

import "grapevine/mesh/wire"

// asked is the wants sent to one peer, in the order of their numbers.
type asked struct {
	queue backlog[query]
	first uint64 // number of the first in the queue
	open  int    // queries that count against the window
}

// query is a want as it was sent.
type query struct {
	tag    wire.Tag
	head   wire.Head // of the version named, with its host; zero for none
	closed bool      // answered, or asked elsewhere
}

// next returns the number that the next query gets.
func (a *asked) next() uint64 { return a.first + uint64(a.queue.len()) } // not negative

func (a *asked) add(q query) {
	a.queue.add(q)
	a.open++
}

// find returns the query with a number, closed or not, or nil.
func (a *asked) find(number uint64) *query {
	if i := number - a.first; number >= a.first && i < uint64(a.queue.len()) { // not negative
		return &a.queue.all()[i]
	}
	return nil
}

// close ends a query, and forgets all that ended before the first open one.
func (a *asked) close(q *query) {
	if !q.closed {
		q.closed = true
		a.open--
	}
	done := 0
	for _, q := range a.queue.all() {
		if !q.closed {
			break
		}
		done++
	}
	a.queue.drop(done)
	a.first += uint64(done) // not negative
}

// closeTag ends all queries of a host.
func (a *asked) closeTag(tag wire.Tag) {
	queue := a.queue.all()
	for i := range queue {
		if q := &queue[i]; q.tag == tag && !q.closed {
			q.closed = true
			a.open--
		}
	}
}
