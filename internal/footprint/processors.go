package footprint

import (
	"context"
	"os"
	"runtime"
	"time"
)

const (
	// lookEvery is how often Processors looks at what was spent.
	lookEvery = time.Second
	// A process that spends half of a processor gets all that there are, and
	// only one again when it spends less than a quarter.
	busy, calm = lookEvery / 2, lookEvery / 4
)

// Processors has this process run Go on one processor while it has little to
// do, until ctx ends, and on as many as usual while it is busy. With more than
// one, each packet and each timer of an idle process wakes up a second thread,
// which looks for more work and finds none. A system call that blocks, such as
// a write to the disk, does not hold the one processor: the runtime takes it
// away within 20 µs, 10 ms at worst. It returns at once where the environment
// variable GOMAXPROCS says how many there are to be.
func Processors(ctx context.Context) {
	if os.Getenv("GOMAXPROCS") != "" || runtime.GOMAXPROCS(0) == 1 {
		return
	}
	before, known := spent()
	if !known {
		return
	}
	defer runtime.SetDefaultGOMAXPROCS()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for one := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, _ := spent()
		if next := oneIsEnough(one, now-before); next != one {
			one = next
			use(one)
		}
		before = now
	}
}

// oneIsEnough reports whether a process that spent so much since the last look
// is to run on one processor, as one tells that it did so far.
func oneIsEnough(one bool, spent time.Duration) bool {
	if one {
		return spent < busy
	}
	return spent < calm
}

func use(one bool) {
	if one {
		runtime.GOMAXPROCS(1)
	} else {
		runtime.SetDefaultGOMAXPROCS() // what the machine and the control group allow now
	}
}
