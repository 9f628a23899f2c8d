package exchange

// backlog is a queue in one piece of memory, which it goes on using: what was
// dropped at its head makes room at its end.
type backlog[T any] struct {
	items []T
	done  int // dropped, of items
}

// keptBacklog is up to how many items an empty backlog keeps its memory.
const keptBacklog = 1024

func (b *backlog[T]) len() int { return len(b.items) - b.done }

func (b *backlog[T]) first() *T { return &b.items[b.done] }

// all returns the items in order; they may be changed.
func (b *backlog[T]) all() []T { return b.items[b.done:] }

func (b *backlog[T]) add(item T) {
	if len(b.items) == cap(b.items) && b.done > len(b.items)/2 {
		b.items, b.done = b.items[:copy(b.items, b.all())], 0
	}
	b.items = append(b.items, item)
}

// drop takes the first n items out.
func (b *backlog[T]) drop(n int) {
	if b.done += n; b.done < len(b.items) {
		return
	}
	b.items, b.done = b.items[:0], 0
	if cap(b.items) > keptBacklog {
		b.items = nil
	}
}
