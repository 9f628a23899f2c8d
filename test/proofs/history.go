package proofs

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// History is a random life of a fleet: operations at any moment, faults among
// them, and now and then a heal after which all promises are checked. The
// seed gives what is asked and what breaks, and when; how goroutines take
// turns within a moment it does not.
type History struct {
	*World
	oracle *oracle
	ops    sync.WaitGroup
	size   sizes
	lives  bool           // and does not only disturb what others do
	named  int            // instances, lots and groups that were ever given a name
	sent   int            // requests, and what was done by hand
	broken int            // faults
	faults []string       // with their moments, and the heals, for people
	mends  []mend         // what ends the faults there are
	drains map[*Host]bool // to be emptied since the last heal, now or before
	began  time.Time
}

// NewHistory begins a life of the fleet.
func NewHistory(w *World) *History {
	return &History{World: w, oracle: newOracle(), drains: map[*Host]bool{}, began: time.Now()}
}

// The rates of a history, on average.
const (
	opEvery    = 800 * time.Millisecond
	faultEvery = 40 * time.Second
	healEvery  = 10 * time.Minute
	// answerWithin is how long a client waits.
	answerWithin = 45 * time.Second
	// quietWithin is how long a healed fleet may take until all is done and told.
	quietWithin = 5 * time.Minute
)

// Live lives for so long, heals, and returns what was broken.
func (h *History) Live(d time.Duration) error {
	h.lives = true
	h.formGroups()
	end := time.Now().Add(d)
	nextFault, nextHeal := h.after(faultEvery), h.after(healEvery)
	for time.Now().Before(end) {
		time.Sleep(time.Duration(h.rng.ExpFloat64() * float64(opEvery)))
		h.operate()
		h.mendWhatIsDue(time.Now())
		if time.Now().After(nextFault) {
			h.fault()
			nextFault = h.after(faultEvery)
		}
		if err := h.oracle.always(h.World); err != nil {
			return err
		}
		if time.Now().After(nextHeal) {
			if err := h.Heal(); err != nil {
				return err
			}
			nextHeal = h.after(healEvery)
		}
	}
	return h.Heal()
}

func (h *History) after(mean time.Duration) time.Time {
	return time.Now().Add(time.Duration(h.rng.ExpFloat64() * float64(mean)))
}

// lastFaults is how many of the last faults are told at the end.
const lastFaults = 40

// breaks counts a fault and notes it.
func (h *History) breaks(format string, args ...any) {
	h.broken++
	h.note(format, args...)
}

// note keeps what happened, for people.
func (h *History) note(format string, args ...any) {
	h.faults = append(h.faults, fmt.Sprintf("%10v ", time.Since(h.began).Round(time.Millisecond))+fmt.Sprintf(format, args...))
	h.oracle.count("fault " + strings.Fields(format)[0])
}

// String tells the last faults and what was counted.
func (h *History) String() string {
	h.oracle.mu.Lock()
	defer h.oracle.mu.Unlock()
	var lines []string
	for word, n := range h.oracle.counts {
		lines = append(lines, fmt.Sprintf("%7d %s", n, word))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(a[8:], b[8:]) })
	lines = append(lines, fmt.Sprintf("%d operations and %d faults in %v", h.sent, h.broken, time.Since(h.began).Round(time.Second)), h.size.String())
	return strings.Join(append(lines, h.faults[max(0, len(h.faults)-lastFaults):]...), "\n")
}

// rates says which of the rates that a proof is to have, one operation a second
// and one fault a minute, the history did not have.
func (h *History) rates() error {
	lived := time.Since(h.began)
	switch {
	case h.sent < int(lived.Seconds()):
		return fmt.Errorf("%d operations in %v", h.sent, lived)
	case h.broken < int(lived.Minutes()):
		return fmt.Errorf("%d faults in %v", h.broken, lived)
	default:
		return nil
	}
}
