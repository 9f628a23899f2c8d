package placement_test

import (
	"fmt"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"grapevine/fleet"
)

// BenchmarkPlace measures decisions, each with the update of the chosen host's
// row, in a fleet that fills from 74 to 86 % of its memory; it is then drained,
// at random and off the clock, and filled again. Every choice is checked with
// fleet.Fits, once in Pick and once here, both on the clock.
//
// The clock is the processor time of the benchmark's thread. decisions/s is
// over all of them; the percentiles are of every 64th, each between two
// readings of that clock, whose own cost (about clock-ns) is included.
func BenchmarkPlace(b *testing.B) {
	for _, hosts := range []int{1000, fleet.MaxHosts} {
		for _, how := range []fleet.Strategy{fleet.Spread, fleet.Pack} {
			b.Run(fmt.Sprintf("hosts=%d/%s", hosts, how), func(b *testing.B) { benchmarkPlace(b, hosts, how) })
		}
	}
}

func benchmarkPlace(b *testing.B, hosts int, how fleet.Strategy) {
	b.Helper()
	const low, high = 0.74, 0.86
	f := newBusyFleet(b, hosts, how)
	for range 3 { // until machines lie as they do after a while
		f.fill(high)
		f.drain(low)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	runtime.GC()
	var (
		times   []time.Duration
		spent   time.Duration
		refused int
	)
	b.ReportAllocs()
	b.ResetTimer()
	began := threadTime()
	for i := range b.N {
		if f.full() >= high {
			b.StopTimer()
			spent += threadTime() - began
			f.drain(low)
			b.StartTimer()
			began = threadTime()
		}
		if i%64 != 0 {
			if !f.place() {
				refused++
			}
			continue
		}
		start := threadTime()
		if !f.place() {
			refused++
		}
		times = append(times, threadTime()-start)
	}
	spent += threadTime() - began
	b.StopTimer()
	slices.Sort(times)
	b.ReportMetric(float64(b.N)/spent.Seconds(), "decisions/s")
	for _, p := range []int{50, 98} {
		b.ReportMetric(float64(times[len(times)*p/100].Nanoseconds())/1000, fmt.Sprintf("p%d-us", p))
	}
	b.ReportMetric(100*float64(refused)/float64(b.N), "%none")
	b.ReportMetric(clockCost(), "clock-ns")
}

// threadTime returns the processor time of the calling thread.
func threadTime() time.Duration {
	const clockThreadCPUTime = 3 // CLOCK_THREAD_CPUTIME_ID of <time.h>
	var t syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, clockThreadCPUTime, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		panic(fmt.Sprintf("read the thread's processor time: %v", errno))
	}
	return time.Duration(t.Nano())
}

// clockCost returns how many nanoseconds lie between two readings.
func clockCost() float64 {
	var costs []time.Duration
	for range 1001 {
		start := threadTime()
		costs = append(costs, threadTime()-start)
	}
	slices.Sort(costs)
	return float64(costs[len(costs)/2])
}
