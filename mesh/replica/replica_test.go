package replica_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

var peer = fleet.UUID{9} // from whom deltas come

func host(n int) fleet.HostID { return fleet.NewUUIDv5(fleet.UUID{3}, fmt.Sprint("host ", n)) }

func instance(n int) fleet.InstanceID { return fleet.NewUUIDv5(fleet.UUID{4}, fmt.Sprint("vm ", n)) }

// row is an instance's row in one of its states.
func row(n, state int) replica.OwnRow {
	return replica.OwnRow{Key: wire.InstanceKey(instance(n)), Body: wire.EncodeInstance(fleet.Instance{Name: fmt.Sprintf("vm-%d", n), VCPUs: int64(state)})}
}

// rich is row with texts that repeat in its block, or do not.
func rich(n, state, project int) replica.OwnRow {
	return replica.OwnRow{Key: wire.InstanceKey(instance(n)), Body: wire.EncodeInstance(fleet.Instance{
		Name: fmt.Sprintf("vm-%d", n), VCPUs: int64(state), Project: fmt.Sprint("a project with a long name, number ", project),
		Labels: map[string]string{"environment": "production", fmt.Sprint("only of state ", state): "yes"},
	})}
}

// history is what one host published, block by block, over several lives.
func history(h, steps int, draw func(n int) int) []*replica.Block {
	o := replica.NewOrigin(host(h))
	epoch := uint64(1)
	o.Begin(epoch, uint64(draw(1000))+1)
	var blocks []*replica.Block
	for range steps {
		if draw(6) == 0 {
			epoch += uint64(draw(2)) // at times the same epoch again, after a lost journal
			o.Begin(epoch, uint64(draw(1000))+1)
		}
		var rows []replica.OwnRow
		for n := range 6 {
			if draw(3) > 0 {
				rows = append(rows, rich(n, draw(3), draw(2)))
			}
		}
		if b, changed, err := o.Next(rows); err != nil {
			panic(err)
		} else if changed {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// deltas are all ways that lead to a block from those before it.
func deltas(blocks []*replica.Block) []replica.Delta {
	var all []replica.Delta
	for i, b := range blocks {
		for _, from := range append([]replica.Head{{}}, heads(blocks[:i])...) {
			if d, ok := b.Since(from); ok {
				all = append(all, d)
			}
		}
	}
	return all
}

func heads(blocks []*replica.Block) []replica.Head {
	out := make([]replica.Head, len(blocks))
	for i, b := range blocks {
		out[i] = b.Head()
	}
	return out
}

func newest(blocks []*replica.Block) *replica.Block {
	return slices.MaxFunc(blocks, func(a, b *replica.Block) int {
		x, y := a.Head(), b.Head()
		return x.Compare(&y)
	})
}

// Whatever order, repetition and subset the deltas come in, a replica holds
// blocks that were published, never goes back, and ends with the newest once
// it has seen that whole.
func TestMergeIsTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "draw") }
		r := replica.New()
		published := map[replica.Head][]wire.Row{}
		var all []replica.Delta
		var best []*replica.Block
		for h := range 3 {
			blocks := history(h, 8, draw)
			if len(blocks) == 0 {
				continue
			}
			for _, b := range blocks {
				published[b.Head()] = b.Rows()
			}
			all = append(all, deltas(blocks)...)
			best = append(best, newest(blocks))
		}
		for _, i := range rapid.SliceOf(rapid.IntRange(0, max(len(all)-1, 0))).Draw(t, "order") {
			if len(all) == 0 {
				break
			}
			before := r.Block(all[i].Head.Host)
			result, _ := r.Apply(all[i], peer, start)
			after := r.Block(all[i].Head.Host)
			if result == replica.Rejected {
				t.Fatalf("a published delta was rejected")
			}
			if before != nil {
				x, y := before.Head(), after.Head()
				if x.Compare(&y) > 0 {
					t.Fatalf("the replica went back from %v to %v", x, y)
				}
			}
			if after != nil {
				want, known := published[after.Head()]
				if !known {
					t.Fatalf("the replica holds %+v, which nobody published", after.Head())
				}
				if diff := cmp.Diff(want, after.Rows()); diff != "" {
					t.Fatalf("the replica's rows differ from those published (-want +got):\n%s", diff)
				}
			}
		}
		other := replica.New()
		for i := range best {
			for _, target := range []struct {
				r *replica.Replica
				b *replica.Block
			}{{r, best[i]}, {other, best[len(best)-1-i]}} {
				whole, _ := target.b.Since(replica.Head{})
				_, _ = target.r.Apply(whole, peer, start)
			}
		}
		if r.Root() != other.Root() {
			t.Fatalf("roots differ: %x and %x", r.Root(), other.Root())
		}
	})
}

// Whatever the texts do, a block's rows say what was stated.
func TestTableSaysWhatTheRowsSaid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := replica.NewOrigin(host(1))
		o.Begin(1, 1)
		r := replica.New()
		stated := map[int][2]int{}
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			for range rapid.IntRange(1, 20).Draw(t, "changes") {
				n := rapid.IntRange(0, 40).Draw(t, "n")
				if stated[n] = [2]int{rapid.IntRange(1, 9).Draw(t, "state"), rapid.IntRange(0, 60).Draw(t, "project")}; rapid.IntRange(0, 2).Draw(t, "gone") == 0 {
					delete(stated, n)
				}
			}
			var rows []replica.OwnRow
			for n, s := range stated {
				rows = append(rows, rich(n, s[0], s[1]))
			}
			b, _, err := o.Next(rows)
			if err != nil {
				t.Fatal(err)
			}
			var held replica.Head
			if before := r.Block(host(1)); before != nil {
				held = before.Head()
			}
			if d, newer := b.Since(held); newer {
				if got, err := r.Apply(d, peer, start); got != replica.Applied {
					t.Fatal(got, err)
				}
			}
			if got := b.Unreadable(); got != 1 { // the host's own row is not stated here
				t.Fatalf("%d rows cannot be read", got)
			}
			for n, s := range stated {
				in, ok := r.Block(host(1)).Instance(instance(n))
				want, _ := wire.DecodeInstance(host(1), instance(n), rich(n, s[0], s[1]).Core, nil)
				want.Version = in.Version
				if diff := cmp.Diff(want, in); diff != "" || !ok {
					t.Fatalf("instance %d: %v (-want +got):\n%s", n, ok, diff)
				}
				found, _ := r.Page(replica.Query{Project: want.Project, Labels: want.Labels, Limit: 100})
				if !slices.ContainsFunc(found, func(f replica.Found) bool { return f.ID() == in.ID }) {
					t.Fatalf("instance %d is not found by what it says", n)
				}
			}
			if found, _ := r.Page(replica.Query{Limit: 100}); len(found) != len(stated) {
				t.Fatalf("a page shows %d instances, want %d", len(found), len(stated))
			}
		}
	})
}

func TestFullBlockGivesUpItsTable(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 1)
	rows := make([]replica.OwnRow, fleet.MaxRows)
	for n := range rows {
		rows[n] = rich(n, 1, 1)
	}
	for _, n := range []int{100, fleet.MaxRows, 100} {
		b := publish(t, o, rows[:n]...)
		if in, ok := b.Instance(instance(99)); !ok || in.Labels["environment"] != "production" || b.Len() < n || b.Len() > fleet.MaxRows {
			t.Errorf("with %d machines the block has %d rows, and instance 99 says %+v", n, b.Len(), in)
		}
	}
	if _, _, err := o.Next(append(rows, rich(len(rows), 1, 1))); !errors.Is(err, replica.ErrTooLarge) {
		t.Errorf("%d machines: %v", len(rows)+1, err)
	}
	if b := publish(t, o, rows[:7]...); b.Len() != 7 {
		t.Errorf("after a block that could not be built there are %d rows", b.Len())
	}
}

func TestAgainAndOldAreStale(t *testing.T) {
	blocks := history(1, 10, sequence())
	r := replica.New()
	for _, d := range deltas(blocks) {
		_, _ = r.Apply(d, peer, start)
	}
	root := r.Root()
	for _, d := range deltas(blocks) {
		if result, err := r.Apply(d, peer, start); result != replica.Stale || err != nil {
			t.Errorf("an old delta was %v, %v", result, err)
		}
	}
	if r.Root() != root {
		t.Error("old deltas changed the root")
	}
}

// sequence draws numbers that only look random.
func sequence() func(int) int {
	x := uint64(1)
	return func(n int) int {
		x = x*6364136223846793005 + 1442695040888963407
		return int(x >> 33 % uint64(n)) // small
	}
}

func publish(t *testing.T, o *replica.Origin, rows ...replica.OwnRow) *replica.Block {
	t.Helper()
	b, _, err := o.Next(rows)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestHashMismatchIsNeverApplied(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	one := publish(t, o, row(1, 1), row(2, 1))
	two := publish(t, o, row(1, 2), row(2, 1), row(3, 1))
	whole, _ := two.Since(replica.Head{})
	changes, _ := two.Since(one.Head())

	tamper := func(d replica.Delta) replica.Delta {
		d.Rows = slices.Clone(d.Rows)
		d.Rows[0].Body = append(slices.Clone(d.Rows[0].Body), 0x78, 1)
		return d
	}
	short := whole
	short.Rows = whole.Rows[1:]
	swapped := whole
	swapped.Rows = slices.Clone(whole.Rows)
	swapped.Rows[0], swapped.Rows[1] = swapped.Rows[1], swapped.Rows[0]
	for name, c := range map[string]struct {
		delta replica.Delta
		want  replica.Result
	}{
		"another body":          {tamper(whole), replica.Rejected},
		"a row missing":         {short, replica.Rejected},
		"rows out of order":     {swapped, replica.Rejected},
		"a change with another": {tamper(changes), replica.NeedWhole},
		"an unknown form":       {replica.Delta{Head: whole.Head, Form: 9}, replica.Rejected},
	} {
		r := replica.New()
		r.Install(one, start)
		if got, err := r.Apply(c.delta, peer, start); got != c.want || err == nil {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
		if r.Version(host(1)) != one.Version() {
			t.Errorf("%s: the replica changed", name)
		}
	}
}

func TestDeltaNeedsWhatItStartsFrom(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	publish(t, o, row(1, 1))
	two := publish(t, o, row(1, 2))
	three := publish(t, o, row(1, 2), row(2, 1))
	d, _ := three.Since(two.Head())
	r := replica.New()
	if got, err := r.Apply(d, peer, start); got != replica.NeedWhole || !errors.Is(err, replica.ErrNeedWhole) {
		t.Errorf("a delta without its start was %v, %v", got, err)
	}
}

func TestRestartWithTheSameRowsSendsOnlyTheHead(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	publish(t, o, row(1, 1))
	old := publish(t, o, row(1, 1), row(2, 2))
	o.Begin(2, 8)
	next := publish(t, o, row(1, 1), row(2, 2))
	d, ok := next.Since(old.Head())
	if !ok || d.Form != wire.HeadOnly || len(d.Rows) != 0 {
		t.Fatalf("the restart sends %+v", d)
	}
	r := replica.New()
	r.Install(old, start)
	if got, err := r.Apply(d, peer, start); got != replica.Applied {
		t.Fatalf("the head was %v, %v", got, err)
	}
	if diff := cmp.Diff(next.Rows(), r.Block(host(1)).Rows()); diff != "" {
		t.Errorf("rows after the head alone differ from the origin's:\n%s", diff)
	}
}

func TestRowLookedAtAgainIsNoChange(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	look := func(at time.Time) replica.OwnRow {
		return replica.OwnRow{Key: wire.InstanceKey(instance(1)), Body: wire.EncodeInstance(fleet.Instance{Name: "a", ObservedAt: at})}
	}
	one := publish(t, o, look(start))
	if two := publish(t, o, look(start.Add(time.Hour))); two != one {
		t.Errorf("a row that was only looked at again made version %v", two.Version())
	}
	three := publish(t, o, look(start.Add(time.Hour)), row(2, 1))
	in, _ := three.Instance(instance(1))
	if !in.ObservedAt.Equal(start) || in.Version.Seq != 1 {
		t.Errorf("the unchanged row says %v in %v", in.ObservedAt, in.Version)
	}
}

func TestDeletionsOlderThanThoseRememberedNeedTheWholeBlock(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	var rows []replica.OwnRow
	for n := range wire.MaxDeletions + 2 {
		rows = append(rows, row(n, 1))
	}
	first := publish(t, o, rows...)
	second := publish(t, o, rows[1:]...)
	for n := 2; n < len(rows); n++ {
		publish(t, o, rows[n:]...)
	}
	last := publish(t, o)
	if d, _ := last.Since(first.Head()); d.Form != wire.Whole {
		t.Errorf("past %d deletions the delta has form %v", wire.MaxDeletions, d.Form)
	}
	third, _ := last.Since(replica.Head{Host: host(1), Epoch: 1, Incarnation: 7, Seq: second.Head().Seq + 1})
	if third.Form != wire.Changes || len(third.Deletions) != wire.MaxDeletions {
		t.Errorf("within them the delta has form %v and %d deletions", third.Form, len(third.Deletions))
	}
}

// A relay that learnt a block by deltas can pass deltas on.
func TestRelayPassesChangesOn(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	one := publish(t, o, row(1, 1), row(2, 1), row(3, 1))
	two := publish(t, o, row(1, 1), row(3, 1))
	three := publish(t, o, row(1, 5), row(3, 1))
	relay, end := replica.New(), replica.New()
	whole, _ := one.Since(replica.Head{})
	for _, r := range []*replica.Replica{relay, end} {
		if got, err := r.Apply(whole, peer, start); got != replica.Applied {
			t.Fatal(got, err)
		}
	}
	for _, b := range []*replica.Block{two, three} {
		d, _ := b.Since(relay.Block(host(1)).Head())
		if got, err := relay.Apply(d, peer, start); got != replica.Applied {
			t.Fatal(got, err)
		}
	}
	d, _ := relay.Block(host(1)).Since(one.Head())
	if d.Form != wire.Changes || len(d.Rows) != 1 || len(d.Deletions) != 1 {
		t.Fatalf("the relay answers with %+v", d)
	}
	if got, err := end.Apply(d, peer, start); got != replica.Applied || end.Root() != relay.Root() {
		t.Errorf("the end: %v, %v", got, err)
	}
}

func TestInstanceIsFoundOnEveryHostThatHasIt(t *testing.T) {
	r := replica.New()
	origins := map[int]*replica.Origin{}
	say := func(h int, rows ...replica.OwnRow) {
		if origins[h] == nil {
			origins[h] = replica.NewOrigin(host(h))
			origins[h].Begin(1, 1)
		}
		r.Install(publish(t, origins[h], rows...), start)
	}
	where := func(n int) (hosts []fleet.HostID) {
		for _, b := range r.Instance(instance(n)) {
			hosts = append(hosts, b.HostID())
		}
		return hosts
	}
	say(1, row(1, 1), row(2, 1))
	say(2, row(2, 1))
	both := []fleet.HostID{host(1), host(2)}
	slices.SortFunc(both, fleet.UUID.Compare)
	if diff := cmp.Diff(both, where(2)); diff != "" {
		t.Errorf("a twin is found at (-want +got):\n%s", diff)
	}
	say(1, row(1, 1))
	if diff := cmp.Diff([]fleet.HostID{host(2)}, where(2)); diff != "" {
		t.Errorf("after the move it is found at (-want +got):\n%s", diff)
	}
	if got := where(77); got != nil {
		t.Errorf("an unknown one is found at %v", got)
	}
}

func TestChangedSinceTellsEachHostOnceAndAllToTheSlow(t *testing.T) {
	r := replica.New()
	o := replica.NewOrigin(host(1))
	o.Begin(1, 1)
	changed := r.Changed()
	r.Install(publish(t, o, row(1, 0)), start)
	select {
	case <-changed:
	default:
		t.Error("Changed is still open after a change")
	}
	r.Install(publish(t, o, row(1, 1)), start)
	hosts, last := r.ChangedSince(0)
	if diff := cmp.Diff([]fleet.HostID{host(1)}, hosts); diff != "" || last != 2 {
		t.Errorf("changed since 0: %v up to %d", hosts, last)
	}
	if hosts, _ := r.ChangedSince(last); hosts != nil {
		t.Errorf("nothing changed since, got %v", hosts)
	}
	other := replica.NewOrigin(host(2))
	other.Begin(1, 1)
	r.Install(publish(t, other, row(9, 1)), start)
	for i := range 5000 {
		r.Install(publish(t, o, row(1, i+2)), start)
	}
	if hosts, _ := r.ChangedSince(last); len(hosts) != 2 {
		t.Errorf("a slow reader is told of %d hosts, want all 2", len(hosts))
	}
}

func TestAgeIsHoldingTimeAndTimeSince(t *testing.T) {
	r := replica.New()
	o := replica.NewOrigin(host(1))
	o.Begin(3, 1)
	d, _ := publish(t, o, row(1, 1)).Since(replica.Head{})
	if _, heard := r.Age(host(1), start); heard {
		t.Error("an unknown host has an age")
	}
	d.Beat, d.AgeMS = 4, 1500
	_, _ = r.Apply(d, peer, start)
	check := func(at time.Duration, want time.Duration) {
		t.Helper()
		if got, heard := r.Age(host(1), start.Add(at)); got != want || !heard {
			t.Errorf("after %v the age is %v, %v, want %v", at, got, heard, want)
		}
	}
	check(time.Second, 2500*time.Millisecond)
	if r.Heard(host(1), replica.Sign{Epoch: 3, Beat: 4, At: start.Add(time.Minute)}) {
		t.Error("the same beat was taken twice")
	}
	r.Heard(host(1), replica.Sign{Epoch: 3, Beat: 5, AgeMS: 10, At: start.Add(time.Minute)})
	check(time.Minute, 10*time.Millisecond)
}

func TestVersionIsLearntFromWhoeverBroughtIt(t *testing.T) {
	r := replica.New()
	if _, _, ok := r.Learnt(host(1)); ok {
		t.Error("a host never heard of was learnt")
	}
	o := replica.NewOrigin(host(1))
	o.Begin(1, 1)
	one := publish(t, o, row(1, 1))
	two := publish(t, o, row(1, 2))
	check := func(want fleet.UUID, wantAt time.Time) {
		t.Helper()
		if from, at, ok := r.Learnt(host(1)); from != want || !at.Equal(wantAt) || !ok {
			t.Errorf("learnt from %s at %v, %v; want from %s at %v", from, at, ok, want, wantAt)
		}
	}
	whole, _ := one.Since(replica.Head{})
	_, _ = r.Apply(whole, peer, start)
	check(peer, start)
	_, _ = r.Apply(whole, fleet.UUID{10}, start.Add(time.Second)) // again: stale
	check(peer, start)
	changes, _ := two.Since(one.Head())
	_, _ = r.Apply(changes, fleet.UUID{10}, start.Add(2*time.Second))
	check(fleet.UUID{10}, start.Add(2*time.Second))
	r.Install(publish(t, o, row(1, 3)), start.Add(3*time.Second))
	check(fleet.UUID{}, start.Add(3*time.Second))
}

func TestBlockPastTheLimitsIsRefused(t *testing.T) {
	rows := make([]wire.Row, fleet.MaxRows+1)
	for i := range rows {
		rows[i] = wire.Row{Key: wire.Key{Kind: 9, ID: string(binary.BigEndian.AppendUint32(nil, uint32(i)))}} // small
	}
	for name, rows := range map[string][]wire.Row{
		"rows": rows,
		"body": {{Key: wire.Key{Kind: 9}, Body: make([]byte, fleet.MaxHostRowBytes+1)}},
		"key":  {{Key: wire.Key{Kind: 9, ID: string(make([]byte, wire.MaxKeyBytes+1))}}},
	} {
		d := replica.Delta{Form: wire.Whole, Head: replica.Head{Host: host(1), Epoch: 1, Incarnation: 1, Seq: 1}, Rows: rows}
		if got, err := replica.New().Apply(d, peer, start); got != replica.Rejected || !errors.Is(err, replica.ErrTooLarge) {
			t.Errorf("too large in %s: %v, %v", name, got, err)
		}
	}
}

func BenchmarkApplyOneRowOfAHundred(b *testing.B) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 1)
	rows := make([]replica.OwnRow, 100)
	for n := range rows {
		rows[n] = row(n, 0)
	}
	r := replica.New()
	first, _, _ := o.Next(rows)
	r.Install(first, start)
	from := first.Head()
	var ready []replica.Delta
	for i := range 256 {
		rows[i%100] = row(i%100, i+1)
		next, _, _ := o.Next(rows)
		d, _ := next.Since(from)
		ready = append(ready, d)
		from = next.Head()
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if i%len(ready) == 0 {
			b.StopTimer()
			r = replica.New()
			r.Install(first, start)
			b.StartTimer()
		}
		if got, err := r.Apply(ready[i%len(ready)], peer, start); got != replica.Applied {
			b.Fatal(got, err)
		}
	}
}
