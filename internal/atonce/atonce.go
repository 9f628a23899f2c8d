// Package atonce does many things of one kind, some of them at the same time.
package atonce

import "sync"

// Each calls do for 0 to n-1, at most limit of them at once, and returns when
// all have returned.
func Each(n, limit int, do func(i int)) {
	next := make(chan int, n)
	for i := range n {
		next <- i
	}
	close(next)
	var workers sync.WaitGroup
	for range min(n, limit) {
		workers.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	workers.Wait()
}
