package meshtest

import (
	"sync"
	"time"
)

// fromOutside is in place of the index of a member that caused an event.
const fromOutside = -1

// At does something later, while the whole fleet stands still: before all that
// happens to single members at the same time. It is not for what is called
// back.
func (f *Fleet) At(after time.Duration, do func()) {
	f.ordinal++
	f.moments.put(event{at: f.clock + after, from: fromOutside, order: f.ordinal, do: do})
}

// Run works off all that happens for so long. A write takes MinDelay at least,
// so that within a window of that length nothing that one member does can
// matter to another: the shards go through one window after the other side by
// side, and in between hand over what they have for each other.
func (f *Fleet) Run(d time.Duration) {
	until := f.clock + d
	f.write()
	for f.exchange(); ; f.exchange() {
		end := until + 1
		if len(f.moments) > 0 {
			end = min(end, f.moments[0].at)
		}
		if at, ok := f.first(); ok && at < end {
			f.window(min(end, at+max(f.opts.MinDelay, 1)))
			continue
		}
		if end > until {
			break
		}
		f.set(end)
		f.moments.take().do()
		f.write()
	}
	f.set(until)
}

// RunUntil runs in steps until ok, and reports false after limit.
func (f *Fleet) RunUntil(limit, step time.Duration, ok func() bool) bool {
	for end := f.clock + limit; f.clock < end; {
		if ok() {
			return true
		}
		f.Run(step)
	}
	return ok()
}

// first returns when the first event of all shards is.
func (f *Fleet) first() (at time.Duration, ok bool) {
	for _, s := range f.shards {
		if _, e := s.events.first(); e != nil && (!ok || e.at < at) {
			at, ok = e.at, true
		}
	}
	return at, ok
}

// window lets all shards work off what happens before a moment, which must be
// so near that they have nothing for each other until then.
func (f *Fleet) window(end time.Duration) {
	var others sync.WaitGroup
	var mine *shard
	for _, s := range f.shards {
		if _, e := s.events.first(); e == nil || e.at >= end {
			continue
		}
		if mine != nil {
			others.Go(func() { s.run(end) })
		} else {
			mine = s
		}
	}
	mine.run(end)
	others.Wait()
}

// exchange hands over what the shards have for each other and for the whole
// fleet.
func (f *Fleet) exchange() {
	for _, from := range f.shards {
		for _, to := range f.shards {
			to.fetch(from)
		}
		for _, e := range from.moments {
			f.moments.put(e)
		}
		clear(from.moments)
		from.moments = from.moments[:0]
	}
}

// set sets the time, for all.
func (f *Fleet) set(clock time.Duration) {
	f.clock = clock
	for _, s := range f.shards {
		s.clock = clock
	}
}

// write takes what all woken links have to say.
func (f *Fleet) write() {
	for _, s := range f.shards {
		s.write()
	}
}
