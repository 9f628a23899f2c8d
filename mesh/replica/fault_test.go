package replica_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// headOf returns the head that rows, in key order, really have.
func headOf(h replica.Head, rows []replica.Row) replica.Head {
	var all []byte
	for i := range rows {
		hash := rows[i].Hash()
		all = append(all, hash[:]...)
	}
	h.Count, h.Hash = len(rows), wire.SumOf(all)
	return h
}

// forged returns a whole delta of rows that an origin would not make, under the
// head that they have.
func forged(seq uint64, rows ...replica.Row) replica.Delta {
	slices.SortFunc(rows, func(a, b replica.Row) int { return a.Compare(b.Key) })
	for i := range rows {
		rows[i].Seq = seq
	}
	h := headOf(replica.Head{Host: host(1), Epoch: 1, Incarnation: 1, Seq: seq}, rows)
	return replica.Delta{Form: wire.Whole, Head: h, Rows: rows}
}

func instanceRow(n int, in fleet.Instance) replica.Row {
	return replica.Row{Key: wire.InstanceKey(instance(n)), Body: wire.EncodeInstance(in).Bytes()}
}

func hostRow(id fleet.HostID, name string) replica.Row {
	return replica.Row{Key: wire.HostKey(id), Body: wire.EncodeHost(fleet.Host{Name: name}).Bytes()}
}

// A row past its bound is refused with its block, and what was held stays: by
// every receiver, whichever way the row comes.
func TestOversizedRowIsRefusedByEveryReceiver(t *testing.T) {
	large := strings.Repeat("x", fleet.MaxInstanceRowBytes)
	for name, row := range map[string]replica.Row{
		"instance": instanceRow(1, fleet.Instance{Name: large}),
		"host":     hostRow(host(1), strings.Repeat("x", fleet.MaxHostRowBytes)),
		"image":    {Key: wire.Key{Kind: wire.KindImage, ID: strings.Repeat("i", 32)}, Body: make([]byte, fleet.MaxHostRowBytes+1)},
	} {
		fresh, behind := replica.New(), replica.New()
		before := forged(1, hostRow(host(1), "h"))
		if got, err := behind.Apply(before, peer, start); got != replica.Applied {
			t.Fatal(got, err)
		}
		whole := forged(2, hostRow(host(1), "h"), row)
		if name == "host" {
			whole = forged(2, row)
		}
		changes := whole
		changes.Form, changes.Since = wire.Changes, 1
		for _, c := range []struct {
			r *replica.Replica
			d replica.Delta
		}{{fresh, whole}, {behind, whole}, {behind, changes}} {
			if got, err := c.r.Apply(c.d, peer, start); got != replica.Rejected || !errors.Is(err, replica.ErrTooLarge) {
				t.Errorf("%s, form %v: %v, %v", name, c.d.Form, got, err)
			}
		}
		if fresh.Len() != 0 || behind.Version(host(1)).Seq != 1 {
			t.Errorf("%s: what was held has changed", name)
		}
	}
}

// Rows that are wrong in themselves are kept and passed on, and only they are
// left out of what is shown.
func TestBadRowsAreIsolatedAndCounted(t *testing.T) {
	good := instanceRow(1, fleet.Instance{Name: "good", Project: "p"})
	dangling := wire.Intern(wire.KindInstance, wire.EncodeInstance(fleet.Instance{Name: "dangling", Project: "p"}).Core,
		func([]byte) (int, bool) { return 77, true })
	d := forged(1,
		hostRow(host(1), "own"), hostRow(host(2), "another's"), good,
		replica.Row{Key: wire.InstanceKey(instance(2)), Body: []byte{0xff}},
		replica.Row{Key: wire.InstanceKey(instance(3)), Body: dangling},
		replica.Row{Key: wire.Key{Kind: wire.KindInstance, ID: "short"}, Body: good.Body},
		replica.Row{Key: wire.Key{Kind: wire.KindText, ID: "three"}, Body: wire.EncodePage([]string{"x"})},
		replica.Row{Key: wire.Key{Kind: 500, ID: "later"}, Body: []byte("opaque")},
	)
	r := replica.New()
	if got, err := r.Apply(d, peer, start); got != replica.Applied {
		t.Fatal(got, err)
	}
	b := r.Block(host(1))
	if diff := cmp.Diff(d.Rows, b.Rows()); diff != "" {
		t.Errorf("rows are not kept as they came (-want +got):\n%s", diff)
	}
	if got := b.Unreadable(); got != 5 {
		t.Errorf("%d rows are counted as unreadable, want 5", got)
	}
	if own, ok := b.Host(); !ok || own.Name != "own" {
		t.Errorf("the host is %q, %v", own.Name, ok)
	}
	found, more := r.Page(replica.Query{Limit: 10})
	if len(found) != 1 || found[0].ID() != instance(1) || more {
		t.Errorf("a page shows %d instances, more %v", len(found), more)
	}
}

// A page of the table that changes under the rows that name it, as no honest
// origin does, shows the same at every node, whichever way it came there.
func TestTableThatChangesShowsTheSameEverywhere(t *testing.T) {
	named := func(name string, n int) replica.Row {
		body := wire.Intern(wire.KindInstance, wire.EncodeInstance(fleet.Instance{Name: name, Project: "p"}).Core,
			func([]byte) (int, bool) { return n, true })
		return replica.Row{Key: wire.InstanceKey(instance(n)), Body: body}
	}
	page := func(texts ...string) replica.Row {
		var entries []string
		for _, s := range texts {
			entries = append(entries, string(wire.EncodeText(s)))
		}
		return replica.Row{Key: wire.PageKey(0), Body: wire.EncodePage(entries)}
	}
	rows := []replica.Row{hostRow(host(1), "h"), named("a", 1), named("b", 2)}
	steps := []replica.Delta{
		forged(1, slices.Concat(rows, []replica.Row{page("red")})...), // instance 2 dangles
		forged(2, slices.Concat(rows, []replica.Row{page("red", "green")})...),
		forged(3, slices.Concat(rows, []replica.Row{page("blue", "green")})...),
		forged(4, rows...), // both dangle
	}
	projects := map[int][2]string{0: {"red", ""}, 1: {"red", "green"}, 2: {"blue", "green"}, 3: {"", ""}}
	byDeltas := replica.New()
	for i, whole := range steps {
		d := whole
		if i > 0 {
			from := steps[i-1]
			d.Form, d.Since, d.Rows = wire.Changes, from.Head.Seq, nil
			for _, row := range whole.Rows {
				if row.Kind == wire.KindText {
					d.Rows = append(d.Rows, row)
				}
			}
			if len(d.Rows) == 0 {
				d.Deletions = []replica.Deletion{{Key: wire.PageKey(0), Seq: d.Head.Seq}}
			}
		}
		atOnce := replica.New()
		for _, c := range []struct {
			r *replica.Replica
			d replica.Delta
		}{{byDeltas, d}, {atOnce, whole}} {
			if got, err := c.r.Apply(c.d, peer, start); got != replica.Applied {
				t.Fatal(i, got, err)
			}
			for n, project := range projects[i] {
				in, ok := c.r.Block(host(1)).Instance(instance(n + 1))
				if in.Project != project || ok != (project != "") {
					t.Errorf("step %d: instance %d is of project %q, %v; want %q", i, n+1, in.Project, ok, project)
				}
				if project == "" {
					continue
				}
				if found, _ := c.r.Page(replica.Query{Project: project, Limit: 5}); len(found) != 1 || found[0].ID() != instance(n+1) {
					t.Errorf("step %d: %d instances of project %s", i, len(found), project)
				}
			}
		}
	}
}

func TestNothingOfAFrameIsKept(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 1)
	one := publish(t, o, row(1, 1), row(2, 1))
	two := publish(t, o, row(1, 2), row(3, 1))
	r := replica.New()
	for _, want := range []*replica.Block{one, two} {
		held := replica.Head{}
		if b := r.Block(host(1)); b != nil {
			held = b.Head()
		}
		d, _ := want.Since(held)
		frame := make([][]byte, len(d.Rows)) // copies that are overwritten later
		for i := range d.Rows {
			frame[i] = bytes.Clone(d.Rows[i].Body)
			d.Rows[i].Body = frame[i]
		}
		if got, err := r.Apply(d, peer, start); got != replica.Applied {
			t.Fatal(got, err)
		}
		for _, body := range frame {
			clear(body)
		}
		if diff := cmp.Diff(want.Rows(), r.Block(host(1)).Rows()); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
	}
}

// Whatever bytes a row has, it breaks nothing, and all ways of asking agree on
// whether it can be read.
func TestAnyRowIsReadOrLeftOutAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 60).Draw(t, "body")
		if rapid.Bool().Draw(t, "nearly right") {
			good := wire.EncodeInstance(fleet.Instance{
				Name: "n", Project: "p", Power: fleet.PowerRunning, Labels: map[string]string{"k": "v"}, Addresses: []string{"10.0.0.1"}, VCPUs: 1,
			}).Bytes()
			body = append(good, body...)
			body[rapid.IntRange(0, len(body)-1).Draw(t, "at")] = rapid.Byte().Draw(t, "byte")
		}
		old := wire.EncodeInstance(fleet.Instance{
			Name: "n", Project: "p", Power: fleet.PowerStopped, Labels: map[string]string{"k": "v"}, Addresses: []string{"10.0.0.1"}, VCPUs: 2, Task: fleet.TaskStarting,
		}).Bytes()
		oldSign, _ := wire.SignOf(old, nil)
		want, wantOK := wire.SignOf(body, nil)
		if sign, ok := wire.Resign(old, oldSign, body); ok && (sign != want || !wantOK) {
			t.Fatalf("the sign after another body is %x, %v, by itself %x, %v", sign, ok, want, wantOK)
		}
		in, err := wire.DecodeInstance(fleet.UUID{}, fleet.UUID{}, body, nil)
		if _, ok := wire.SignOf(body, nil); ok != (err == nil) {
			t.Fatalf("the sign says %v, decoding %v", ok, err)
		}
		if err != nil {
			return
		}
		for _, f := range []wire.Filter{
			{Project: in.Project},
			{Name: in.Name},
			{Power: in.Power},
			{Labels: in.Labels},
			{Project: "p"},
			{Name: "n"},
			{Power: fleet.PowerRunning},
			{Labels: map[string]string{"k": "v"}},
		} {
			value, labelled := in.Labels["k"]
			want := (f.Project == "" || f.Project == in.Project) && (f.Name == "" || f.Name == in.Name) && (f.Power == "" || f.Power == in.Power)
			if _, asked := f.Labels["k"]; asked && len(f.Labels) == 1 {
				want = want && labelled && value == f.Labels["k"]
			}
			if got := f.Match(body, nil); got != want {
				t.Fatalf("%+v passes %+v: %v", f, in, got)
			}
			sign, _ := wire.SignOf(body, nil)
			if bits, mask := f.Sign(); want && sign&mask != bits {
				t.Fatalf("the sign %x of %+v does not pass %+v", sign, in, f)
			}
		}
	})
}
