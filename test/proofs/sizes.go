package proofs

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// size is what a fleet at rest takes of its process.
type size struct {
	after      time.Duration
	goroutines int
	heapMiB    uint64
}

func (s size) String() string {
	return fmt.Sprintf("%v: %d goroutines, %d MiB", s.after.Round(time.Minute), s.goroutines, s.heapMiB)
}

// sizes are those at each heal.
type sizes []size

// measure notes what is left when all is quiet.
func (s *sizes) measure(after time.Duration) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	*s = append(*s, size{after: after, goroutines: runtime.NumGoroutine(), heapMiB: m.HeapAlloc >> 20})
}

// grown says what a fleet at rest has more of at the end of its life than it
// could need. Links and idle connections come and go, so that the goroutines of
// one rest are not those of another: half as many again as there ever were in
// the first quarter are too many. Memory is told and not judged: for 24 hours
// a fleet remembers what was deleted.
func (s sizes) grown() error {
	if len(s) == 0 {
		return nil // the life ended before its first rest
	}
	most := 0
	for _, early := range s[:(len(s)+3)/4] {
		most = max(most, early.goroutines)
	}
	if last := s[len(s)-1]; last.goroutines > most+most/2 {
		return fmt.Errorf("%d goroutines at most in the first quarter of the life, and %d in the end", most, last.goroutines)
	}
	return nil
}

// String tells a few of them, the first and the last included.
func (s sizes) String() string {
	var told []string
	every := max(1, len(s)/6)
	for i, at := range s {
		if i%every == 0 || i == len(s)-1 {
			told = append(told, at.String())
		}
	}
	return "at rest after " + strings.Join(told, "; ")
}
