package proofs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"grapevine/api/client"
	"grapevine/fleet"
)

// verb is what a client of the history asked of an instance.
type verb string

const (
	doCreate verb = "create"
	doStart  verb = "start"
	doStop   verb = "stop"
	doDelete verb = "delete"
	doMove   verb = "migrate"
	doRead   verb = "read"
)

// asked is one call of a history: of which instance, and what. The instances of
// an even number and the next have one unique name.
type asked struct {
	instance int
	verb     verb
}

func (a asked) name() int { return a.instance / 2 }

// answer is what came back: that it was done, that nobody knows, or, to a read,
// the state.
type answer string

const (
	done    answer = "done"
	unknown answer = "unknown"
	absent  answer = "absent"
	running answer = "running"
	stopped answer = "stopped"
	deleted answer = "deleted" // and absent for good
)

// pair is what the two instances are that may have one name.
type pair [2]answer

// there reports whether an instance has its name.
func (a answer) there() bool { return a == running || a == stopped }

// effect is what a verb makes of one of a pair, empty where it cannot be done
// then.
func effect(v verb, state, other answer) answer {
	switch {
	case v == doCreate && state == absent && !other.there():
		return running
	case v == doCreate && state.there():
		return state // the same answer again
	case v == doStart && state.there():
		return running
	case v == doStop && state.there():
		return stopped
	case v == doMove && state == stopped:
		return stopped
	case v == doDelete && state.there():
		return deleted
	default:
		return ""
	}
}

// instanceModel is an instance as its users are promised it: one thing that is
// absent, runs, is stopped, or is gone for good, that changes at one moment
// between the question and the answer, wherever it is, and that is there only
// while no other has its name.
var instanceModel = porcupine.NondeterministicModel{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := map[int][]porcupine.Operation{}
		for _, op := range history {
			n := op.Input.(asked).name()
			parts[n] = append(parts[n], op)
		}
		list := make([][]porcupine.Operation, 0, len(parts))
		for _, part := range parts {
			list = append(list, part)
		}
		return list
	},
	Init: func() []any { return []any{pair{absent, absent}} },
	Step: func(state, input, output any) []any {
		in, both := input.(asked), state.(pair)
		was, other := both[in.instance%2], both[1-in.instance%2]
		next := effect(in.verb, was, other)
		after := both
		after[in.instance%2] = next
		switch out := output.(answer); {
		case in.verb == doRead && (out == was || out == absent && was == deleted):
			return []any{both}
		case in.verb == doRead:
			return nil
		case out == unknown && next != "" && next != was:
			return []any{both, after}
		case out == unknown:
			return []any{both}
		case next != "":
			return []any{after}
		default:
			return nil
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprint(input, " -> ", output) },
}

// recorder writes a history down.
type recorder struct {
	mu   sync.Mutex
	list []porcupine.Operation
}

func (r *recorder) note(who int, in asked, out answer, called time.Time) {
	returned := time.Now().UnixNano()
	if out == unknown {
		returned = math.MaxInt64 // it may come yet
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, porcupine.Operation{ClientId: who, Input: in, Call: called.UnixNano(), Output: out, Return: returned})
}

// TestProof16InstancesAreLinearizable has clients create, start, stop, move,
// delete and read a few instances at once, two of each unique name, through two
// registries, while agents are killed and the network is cut; what they were
// answered must be explained by one thing that changes at one moment for each
// answer.
func TestProof16InstancesAreLinearizable(t *testing.T) {
	const clients, instances = 6, 8
	rounds := long(20, 4)
	synctest.Test(t, func(t *testing.T) {
		w := NewWorld(t, 16, 6, 2, fleet.Resources{VCPUs: 16, MemoryMiB: 4096, DiskGiB: 100})
		h := NewHistory(w)
		r := &recorder{}
		for round := range rounds {
			end := time.Now().Add(5 * time.Minute)
			var all sync.WaitGroup
			for c := range clients {
				rng := rand.New(rand.NewPCG(uint64(c), uint64(round))) // repeatable
				all.Go(func() { w.use(r, rng, c, round*instances, instances, end) })
			}
			h.disturbUntil(end, &all)
		}
		r.check(t, h)
		answered := map[string]int{}
		for _, op := range r.list {
			answered[fmt.Sprint(op.Input.(asked).verb, " ", op.Output)]++
		}
		t.Logf("%d calls were checked: %v", len(r.list), answered)
	})
}

// check says which instances are not explained, with all that was answered of
// them and all that was done to the fleet meanwhile.
func (r *recorder) check(t *testing.T, h *History) {
	t.Helper()
	model := instanceModel.ToModel()
	for _, part := range instanceModel.Partition(r.list) {
		result, info := porcupine.CheckOperationsVerbose(model, part, 0)
		if result == porcupine.Ok {
			continue
		}
		slices.SortStableFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
		var lines []string
		for _, op := range part {
			lines = append(lines, fmt.Sprintf("%10v %10v client %d %v -> %v", h.at(op.Call), h.at(op.Return), op.ClientId, op.Input, op.Output))
		}
		picture := filepath.Join(t.ArtifactDir(), "history.html")
		t.Errorf("%d answers are %s; see %s: %v\n%s\n%s", len(part), result, picture, porcupine.VisualizePath(model, info, picture),
			strings.Join(lines, "\n"), strings.Join(h.faults, "\n"))
	}
}

// at is when something was, as faults are told.
func (h *History) at(nanos int64) string {
	if nanos == math.MaxInt64 {
		return "never"
	}
	return time.Unix(0, nanos).Sub(h.began).Round(time.Millisecond).String()
}

// disturbUntil disturbs the fleet until the end, waits for those who use it, and
// mends it again.
func (h *History) disturbUntil(end time.Time, users *sync.WaitGroup) {
	for time.Now().Before(end) {
		time.Sleep(time.Duration(h.rng.ExpFloat64() * float64(15*time.Second)))
		h.mendWhatIsDue(time.Now())
		h.disturb()
	}
	users.Wait()
	h.mendWhatIsDue(forever)
	h.Await(5*time.Minute, "all hear all", h.heard)
}

// disturb does to the fleet what leaves machines as they are.
func (h *History) disturb() {
	host := h.Hosts[h.rng.IntN(len(h.Hosts))]
	switch h.rng.IntN(4) {
	case 0, 1:
		h.killHost(host, h.rng.IntN(2) == 0)
	case 2:
		h.cutPair(host, h.Hosts[h.rng.IntN(len(h.Hosts))])
	case 3:
		h.partition()
	}
}

// use is one client's life.
func (w *World) use(r *recorder, rng *rand.Rand, who, first, instances int, end time.Time) {
	verbs := []verb{doCreate, doCreate, doStart, doStop, doStop, doMove, doMove, doRead, doRead, doRead, doRead, doDelete}
	for time.Now().Before(end) {
		time.Sleep(time.Duration(rng.ExpFloat64() * float64(2*time.Second)))
		in := asked{instance: first + rng.IntN(instances), verb: verbs[rng.IntN(len(verbs))]}
		at := w.Registries[rng.IntN(len(w.Registries))].Client
		called := time.Now()
		if out, tells := w.ask(at, in); tells {
			r.note(who, in, out, called)
		}
	}
}

// ask sends one call and waits until it is done. It returns false where the
// answer tells nothing of the instance.
func (w *World) ask(at *client.Client, in asked) (answer, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	key := fmt.Sprint("linear-", in.instance)
	id := fleet.KeyedInstanceID(fleet.DefaultProject, key)
	if in.verb == doRead {
		row, err := at.FreshInstance(ctx, id)
		switch {
		case errors.Is(err, &fleet.Error{Code: fleet.CodeNotFound}):
			return absent, true
		case err != nil, row.Task != fleet.TaskNone:
			return "", false
		case row.Power == fleet.PowerRunning:
			return running, true
		default:
			return stopped, true
		}
	}
	const wait = 30 * time.Second
	var row fleet.Accepted
	var err error
	switch in.verb {
	case doCreate:
		row, err = at.CreateInstance(ctx, fleet.Create{Name: fmt.Sprint("linear-", in.name()), Flavor: "nano", Image: "tiny", UniqueName: true}, client.CreateOptions{Key: key, Wait: wait})
	case doMove:
		row, err = at.MigrateInstance(ctx, id, fleet.Migrate{}, client.KeyedOptions{Wait: wait})
	case doDelete:
		row, err = at.DeleteInstance(ctx, id, wait)
	default:
		row, err = at.ActInstance(ctx, id, fleet.InstanceAction(in.verb), client.ActOptions{Wait: wait})
	}
	switch {
	case err != nil && surely(err), err != nil && fleet.CodeOf(err) == fleet.CodeConflict, err != nil && fleet.CodeOf(err) == fleet.CodeBusy:
		return "", false
	case err != nil, row.Instance.Task != fleet.TaskNone:
		return unknown, true
	default:
		return done, true
	}
}
