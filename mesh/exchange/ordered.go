package exchange

import "iter"

// ordered is a map that remembers in which order its keys were put in. The zero
// value is empty.
type ordered[K comparable, V any] struct {
	items map[K]slot[V]
	queue []ticket[K]
	last  uint64
}

type slot[V any] struct {
	number uint64
	value  V
}

// ticket is a place in the queue; it is void when its key's slot has another
// number.
type ticket[K comparable] struct {
	key    K
	number uint64
}

func (o *ordered[K, V]) Len() int { return len(o.items) }

func (o *ordered[K, V]) Get(k K) (V, bool) {
	s, ok := o.items[k]
	return s.value, ok
}

// Put sets k's value; a new key goes to the end.
func (o *ordered[K, V]) Put(k K, v V) {
	if o.items == nil {
		o.items = map[K]slot[V]{}
	}
	s, had := o.items[k]
	if !had {
		o.last++
		s.number = o.last
		o.compact()
		o.queue = append(o.queue, ticket[K]{k, s.number})
	}
	s.value = v
	o.items[k] = s
}

func (o *ordered[K, V]) Delete(k K) { delete(o.items, k) }

// All yields the items, oldest first. Items may be deleted meanwhile.
func (o *ordered[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for _, t := range o.queue {
			if s, here := o.items[t.key]; here && s.number == t.number && !yield(t.key, s.value) {
				return
			}
		}
	}
}

// compact drops void tickets when they are more than half, so that the queue
// stays in proportion to the map.
func (o *ordered[K, V]) compact() {
	if len(o.queue) < 2*len(o.items)+16 {
		return
	}
	live := o.queue[:0]
	for _, t := range o.queue {
		if s, here := o.items[t.key]; here && s.number == t.number {
			live = append(live, t)
		}
	}
	o.queue = live
}
