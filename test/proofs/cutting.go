package proofs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// operation is one kind of what may be asked for.
type operation struct {
	name   string
	routes []string // of the API, as its description writes them
	on     int      // the host whose agent is killed: 0 is KVM, 1 Xen, 2 ESXi
	// prepare makes what the operation is about.
	prepare func(c *cutting)
	// ask asks for it, at a registry, and returns the operation's id if it has one.
	ask func(ctx context.Context, c *cutting) (string, error)
	// keyed requests are one, however often they are sent.
	keyed bool
	// ends says why it is not over yet, beyond what operations there are.
	ends func(c *cutting) error
	// shows is what there is to see of it beside its machines.
	shows func(c *cutting) (any, error)
	// mayFail: what must not be done twice fails where it was cut.
	mayFail bool
	// after undoes what goes beyond the machines.
	after func(c *cutting)
}

// cutting is one operation that is asked for once more.
type cutting struct {
	*World
	op    *operation
	host  *Host
	round int
	ids   []fleet.InstanceID // of the machines that it is about
	since int                // how many operations the host's journal had before
}

func (c *cutting) key(n int) string         { return fmt.Sprintf("%s-%d-%d", c.op.name, c.round, n) }
func (c *cutting) id() fleet.InstanceID     { return c.ids[0] }
func (c *cutting) registry() *client.Client { return c.Registries[0].Client }

// reply is what came of a request.
type reply struct {
	operation string
	err       error
}

// send asks in the background.
func (c *cutting) send() chan reply {
	told := make(chan reply, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		operation, err := c.op.ask(ctx, c)
		told <- reply{operation, err}
	}()
	return told
}

// cuts says where one round is cut; nil of either is nowhere.
type cuts struct {
	first  *point // of the operation
	second *int   // of the points that its recovery comes by
}

// outcome is what one round has shown.
type outcome struct {
	before, after string  // what there was to see
	points        []point // that an operation nobody cut came by
	kills         int
}

// live goes through the operation once, cut where it is said, and returns what
// was broken.
func (c *cutting) live(at cuts, usual *outcome) (out outcome, err error) {
	c.op.prepare(c)
	if err := c.settle(); err != nil {
		return out, fmt.Errorf("before anything was asked: %w", err)
	}
	if out.before, err = c.look(); err != nil {
		return out, err
	}
	if c.since, err = c.countOperations(); err != nil {
		return out, err
	}
	c.host.points.watch(at.trap())
	told := c.send()
	caught := c.awaitCut(told)
	if !caught {
		time.Sleep(2 * time.Second) // what was seen is saved
		caught = c.isCaught()
	}
	out.points = c.host.points.list()
	if caught {
		out.kills = 1 + c.recover(at)
	}
	got := <-told
	told <- got
	if err := c.settle(); err != nil {
		return out, fmt.Errorf("%w (the request was answered %+v)", err, got)
	}
	if err := c.judge(&out, usual, got); err != nil {
		return out, err
	}
	return out, c.tidy()
}

// trap is where the first cut is.
func (at cuts) trap() func(point, int) bool {
	if at.first == nil {
		return nil
	}
	return func(p point, _ int) bool { return p == *at.first }
}

// awaitCut waits until the agent stands still at the cut, or the operation is
// over without.
func (c *cutting) awaitCut(told chan reply) bool {
	began := time.Now()
	for wait := 10 * time.Millisecond; time.Since(began) < quietWithin; wait = min(2*wait, time.Second) {
		select {
		case <-c.host.points.reached:
			return true
		case <-time.After(wait):
		}
		if len(told) == 1 && c.over() == nil {
			break
		}
	}
	return c.isCaught() // whatever is not over by then never is, as settle says
}

func (c *cutting) isCaught() bool {
	select {
	case <-c.host.points.reached:
		return true
	default:
		return false
	}
}

// recover kills the agent and begins its next life, which may be cut too. It
// returns how often.
func (c *cutting) recover(at cuts) (further int) {
	c.host.Kill()
	c.host.Start()
	if at.second == nil {
		return 0
	}
	c.host.points.watch(func(_ point, n int) bool { return n == *at.second })
	select {
	case <-c.host.points.reached:
	case <-time.After(20 * time.Second): // it had fewer
		if !c.isCaught() {
			c.host.points.watch(nil)
			return 0
		}
	}
	c.host.Kill()
	c.host.Start()
	return 1
}

// settle waits until all is done that goes on by itself.
func (c *cutting) settle() error {
	var err error
	for began, wait := time.Now(), 20*time.Millisecond; time.Since(began) < quietWithin; wait = min(2*wait, 2*time.Second) {
		if err = c.over(); err == nil {
			return nil
		}
		time.Sleep(wait)
	}
	return fmt.Errorf("not over after %v: %w", quietWithin, err)
}

// over says why what was asked for is not over yet.
func (c *cutting) over() error {
	for _, h := range c.Hosts {
		if err := h.Died(); err != nil {
			return err
		}
		if !h.Ready() {
			return fmt.Errorf("%s is not ready", h.Name)
		}
	}
	if err := c.heard(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	// What has just begun the hosts know themselves; a registry hears of it later.
	var rows fleet.List[fleet.Instance]
	for _, at := range c.clients() {
		var err error
		if rows, err = at.AllInstances(ctx, fleet.InstanceQuery{}); err != nil {
			return err
		}
		for i := range rows.Items {
			if rows.Items[i].Task != fleet.TaskNone {
				return fmt.Errorf("instance %s is %s", rows.Items[i].ID, rows.Items[i].Task)
			}
		}
	}
	if c.op.ends != nil {
		if err := c.op.ends(c); err != nil {
			return err
		}
	}
	return c.agrees(rows.Items)
}

// clients are those of all hosts, and last that of the registry.
func (c *cutting) clients() []*client.Client {
	var all []*client.Client
	for _, h := range c.Hosts {
		all = append(all, h.Client)
	}
	return append(all, c.registry())
}

// agrees compares what a registry shows with the hypervisors.
func (c *cutting) agrees(rows []fleet.Instance) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	hosts, err := c.registry().Hosts(ctx)
	if err != nil {
		return err
	}
	shown := map[fleet.InstanceID][]fleet.Instance{}
	for i := range rows {
		shown[rows[i].ID] = append(shown[rows[i].ID], rows[i])
	}
	errs := make([]error, 0, 2*len(c.Hosts))
	for _, h := range c.Hosts {
		errs = append(errs, h.judge(hosts.Items, shown))
		for _, m := range h.Hypervisor.Machines() {
			if row := shown[m.ID]; len(row) == 1 && row[0].Resources() != m.Resources {
				errs = append(errs, fmt.Errorf("the row of machine %s says %+v, and it has %+v", m.ID, row[0].Resources(), m.Resources))
			}
		}
	}
	for id, on := range c.copies() {
		if len(on) > 1 {
			errs = append(errs, fmt.Errorf("instance %s is on %s and %s", id, on[0].Name, on[1].Name))
		}
	}
	return errors.Join(errs...)
}

// cutEverywhere goes through the operation undisturbed, and then once for each
// point that it came by, and once more for some with a second cut. Of the points
// only a part is taken unless all are wanted.
func cutEverywhere(t *testing.T, op *operation, part float64, rng *rand.Rand) (points []point, kills int) {
	t.Helper()
	round := 0
	w := newCutWorld(t)
	begin := func() *cutting {
		round++
		return &cutting{World: w, op: op, host: w.Hosts[op.on], round: round}
	}
	usual, err := begin().live(cuts{}, nil)
	if err != nil {
		t.Errorf("%s, which nobody cuts: %v", op.name, err)
		return nil, 0
	}
	for i, p := range usual.points {
		if part < 1 && rng.Float64() >= part {
			continue
		}
		at := cuts{first: &p}
		if rng.IntN(3) == 0 {
			second := rng.IntN(12)
			at.second = &second
		}
		out, err := begin().live(at, &usual)
		kills += out.kills
		if err != nil {
			t.Errorf("%s, killed %v (point %d of %d, again at %v):\n%v", op.name, p, i+1, len(usual.points), deref(at.second), err)
			w = newCutWorld(t) // what is broken breaks nothing else
		}
	}
	return usual.points, kills
}

func deref(n *int) any {
	if n == nil {
		return "no other"
	}
	return *n
}

// newCutWorld is a small fleet of one host of each kind.
func newCutWorld(t *testing.T) *World {
	t.Helper()
	w := NewWorld(t, 3, 3, 1, fleet.Resources{VCPUs: 16, MemoryMiB: 16384, DiskGiB: 100})
	for _, h := range w.Hosts {
		h.give(otherImage())
	}
	return w
}
