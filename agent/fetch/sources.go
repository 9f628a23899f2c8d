package fetch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"grapevine/internal/pause"
)

// maxFailures in a row and a holder is not asked any more.
const maxFailures = 4

// sources shares the holders out among the ranges. Holders may come and go while
// a fetch is under way: who has just got the image gives it to the next.
type sources struct {
	list  func() []Source
	retry time.Duration // how long who was busy, or failed for the first time, is left alone

	mu    sync.Mutex
	state map[string]*standing // guarded by mu; by name
}

// standing is how a holder has done so far.
type standing struct {
	underWay int
	failures int // in a row
	rests    time.Time
	last     error
	gave     int // ranges
}

func newSources(list func() []Source, retry time.Duration) *sources {
	return &sources{list: list, retry: retry, state: map[string]*standing{}}
}

// take returns the holder with the least to do of those that can be asked. While
// all of them rest it waits.
func (s *sources) take(ctx context.Context) (Source, error) {
	for {
		best, rest := s.choose(time.Now())
		switch {
		case best != nil:
			return *best, nil
		case rest == 0:
			return Source{}, s.failure()
		case !pause.For(ctx, rest):
			return Source{}, context.Cause(ctx)
		}
	}
}

// choose returns the best holder. Where there is none at this moment, it says
// how long to wait for one; 0 means that there is none at all.
func (s *sources) choose(now time.Time) (best *Source, rest time.Duration) {
	list := s.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range list {
		st := s.standing(list[i].Name)
		wait := st.rests.Sub(now)
		switch {
		case st.failures >= maxFailures:
		case wait > 0 && (rest == 0 || wait < rest):
			rest = wait
		case wait <= 0 && (best == nil || st.underWay < s.state[best.Name].underWay):
			best = &list[i]
		}
	}
	if best != nil {
		s.state[best.Name].underWay++
	}
	return best, rest
}

func (s *sources) standing(name string) *standing {
	if s.state[name] == nil {
		s.state[name] = &standing{}
	}
	return s.state[name]
}

// done tells how a holder did with a range. One that failed rests for twice as
// long each time.
func (s *sources) done(name string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.standing(name)
	st.underWay--
	switch {
	case err == nil:
		st.failures, st.gave = 0, st.gave+1
	case errors.Is(err, ErrBusy):
		st.rests = time.Now().Add(s.retry/2 + rand.N(s.retry))
	default:
		st.rests = time.Now().Add(s.retry << st.failures)
		st.failures++
		st.last = err
	}
}

// failure says why nobody is left to ask.
func (s *sources) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := ErrNoSource
	for _, name := range slices.Sorted(maps.Keys(s.state)) {
		if last := s.state[name].last; last != nil {
			err = fmt.Errorf("%w; host %s: %w", err, name, last)
		}
	}
	return err
}

// givers names those that gave something.
func (s *sources) givers() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, st := range s.state {
		if st.gave > 0 {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
