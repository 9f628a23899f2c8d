package agent

import (
	"context"
	"sync"
	"sync/atomic"

	"grapevine/fleet"
)

// shelf is what is being done with the images of this host: which are on their
// way to it, and which are needed.
type shelf struct {
	mu        sync.Mutex
	flights   map[string]*flight       // guarded by mu; by image id
	downloads map[string]*flight       // guarded by mu; by operation
	uses      map[string]int           // guarded by mu; by image id
	leaving   map[string]chan struct{} // guarded by mu; by image id; closed when it is gone
}

// flight is an image on its way, once however many wait for it.
type flight struct {
	cancel  context.CancelFunc
	ended   chan struct{}
	waiting int // guarded by the shelf's mu
	done    atomic.Int64
	total   atomic.Int64
	image   fleet.Image // once ended
	err     error       // once ended
}

func newShelf() *shelf {
	return &shelf{flights: map[string]*flight{}, downloads: map[string]*flight{}, uses: map[string]int{}, leaving: map[string]chan struct{}{}}
}

// use keeps an image from being removed until done is called, whether or not it
// is there already. One that is just being removed is waited for.
func (s *shelf) use(ctx context.Context, id string) (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for gone := s.leaving[id]; gone != nil; gone = s.leaving[id] {
		s.mu.Unlock()
		select {
		case <-gone:
		case <-ctx.Done():
		}
		s.mu.Lock()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	s.uses[id]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.uses[id]--; s.uses[id] == 0 {
			delete(s.uses, id)
		}
	}, nil
}

// retire begins the removal of an image that nobody uses, fetches or removes.
func (s *shelf) retire(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.uses[id] > 0 || s.flights[id] != nil || s.leaving[id] != nil {
		return false
	}
	s.leaving[id] = make(chan struct{})
	return true
}

// retired ends the removal, whatever came of it.
func (s *shelf) retired(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.leaving[id])
	delete(s.leaving, id)
}

// board waits for the flight that brings an image, which start begins where
// there is none. Who leaves before it has ended, and is the last to wait, ends it.
func (s *shelf) board(ctx context.Context, id string, start func() *flight) (fleet.Image, error) {
	s.mu.Lock()
	f := s.flights[id]
	if f == nil {
		f = start()
		s.flights[id] = f
	}
	f.waiting++
	s.mu.Unlock()
	defer s.leave(f)
	select {
	case <-f.ended:
		return f.image, f.err
	case <-ctx.Done():
		return fleet.Image{}, context.Cause(ctx)
	}
}

func (s *shelf) leave(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
	}
}

// land ends a flight. One that nobody waits for any more has been cancelled, and
// who comes now begins another.
func (s *shelf) land(id string, f *flight, im fleet.Image, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.image, f.err = im, err
	close(f.ended)
	delete(s.flights, id)
}

// download notes that an operation transfers something of its own, for its
// progress.
func (s *shelf) download(operation string) (f *flight, done func()) {
	f = &flight{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.downloads[operation] = f
	return f, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.downloads, operation)
	}
}

// progress says how far the image has come that an operation waits for.
func (s *shelf) progress(op *fleet.Operation) *fleet.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.downloads[op.ID]
	if f == nil {
		f = s.flights[op.Image]
	}
	if f == nil {
		return nil
	}
	return &fleet.Progress{DoneBytes: f.done.Load(), TotalBytes: f.total.Load()}
}
