package proofs

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
)

// point is a moment of an agent's life at which it may be killed: a step of a
// write of its journal, or of a call of its driver.
type point struct {
	what string // "before journal.Begin"
	nth  int    // of those with this name, from 1
}

func (p point) String() string { return fmt.Sprintf("%s #%d", p.what, p.nth) }

// points are those that one life of an agent comes by. At the one that the trap
// chooses the goroutine stops, until the life has ended.
type points struct {
	mu    sync.Mutex
	seen  []point // since watch
	times map[string]int
	trap  func(p point, n int) bool // n is how many there were before it
	// reached is sent the point at which something stopped.
	reached chan point
	over    chan struct{} // closed when the life has ended
	on      chan struct{} // what stands still goes on
}

func newPoints() *points {
	return &points{times: map[string]int{}, reached: make(chan point, 1), over: make(chan struct{}), on: make(chan struct{}, 1)}
}

// watch begins to count anew, with another trap, nil for none.
func (p *points) watch(trap func(p point, n int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen, p.times, p.trap = nil, map[string]int{}, trap
}

// list returns the points since watch.
func (p *points) list() []point {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// pass comes by a point, and stops there if that is where the trap is.
func (p *points) pass(step string) {
	what, counts := caller()
	if !counts {
		return
	}
	p.mu.Lock()
	what = step + " " + what
	p.times[what]++
	at := point{what: what, nth: p.times[what]}
	n := len(p.seen)
	p.seen = append(p.seen, at)
	caught := p.trap != nil && p.trap(at, n)
	if caught {
		p.trap = nil
	}
	p.mu.Unlock()
	if caught {
		p.reached <- at
		select {
		case <-p.over:
		case <-p.on:
		}
	}
}

// goOn lets what stands still at a point go on.
func (p *points) goOn() { p.on <- struct{}{} }

// reads are the calls of a driver that change nothing at its hypervisor: to be
// killed at one is to be killed after the point before it.
var reads = map[string]bool{
	"Describe": true, "List": true, "Inspect": true, "Watch": true, "Images": true, "Devices": true, "Snapshots": true,
	"ResizableLive": true, "Usage": true, "ReadDisk": true, "Firmware": true, "Guest": true, "ReadImage": true, "ConsoleLog": true, "OpenConsole": true,
	"Hardware": true, "Volumes": true, "Survey": true, "Diagnose": true,
}

const (
	journalMethods = "grapevine/agent/journal.(*Journal)."
	driverMethods  = "grapevine/drivers/simulated.(*Driver)."
)

// caller names the write or the call that has come by a point, and says whether
// it counts.
func caller() (what string, counts bool) {
	var pcs [24]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		frame, more := frames.Next()
		if name, ok := strings.CutPrefix(frame.Function, journalMethods); ok && isExported(name) {
			return "journal." + name, true
		}
		if name, ok := strings.CutPrefix(frame.Function, driverMethods); ok && isExported(name) {
			return "driver." + name, !reads[name]
		}
		if !more {
			return "something else", true // which no operation may do: see TestProof03
		}
	}
}

// isExported reports whether a function's name is that of an exported method,
// and not of a function within one.
func isExported(name string) bool {
	return name != "" && name[0] >= 'A' && name[0] <= 'Z' && !strings.Contains(name, ".")
}
