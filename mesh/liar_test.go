package mesh

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/meshtest"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// liarFleet is a fleet of real nodes with identities, the first of which has
// all that a member has, and passes on what others never said.
type liarFleet struct {
	*meshtest.Fleet
	t         *testing.T
	liar      *meshtest.Member
	seal      func() ([]byte, func([]byte) []byte) // the liar's
	published map[string]bool                      // what is signed of each head that a host published
	told      int                                  // lies
}

// lie changes one message that the liar writes, and reports whether it did.
type lie func(f *liarFleet, to *meshtest.Member, m wire.Message) bool

func newLiarFleet(t *testing.T, tells lie) *liarFleet {
	t.Helper()
	opts := meshtest.FleetOptions{Seed: 5, MinDelay: time.Millisecond, MaxDelay: time.Millisecond}
	ids := newFleetIdentity(t)
	ids.sign(&opts)
	f := &liarFleet{t: t, published: map[string]bool{}}
	opts.Seal = func(m *meshtest.Member) func() ([]byte, func([]byte) []byte) { return f.record(ids.seal(m.ID)) }
	f.Fleet = meshtest.NewFleet(12, opts)
	f.liar = f.Nodes[0]
	f.seal = ids.seal(f.liar.ID)
	f.Change = func(from, to *meshtest.Member, write []byte) []byte {
		if from != f.liar {
			return write
		}
		return f.rewrite(to, write, tells)
	}
	list := f.Everybody()
	for _, m := range f.Nodes {
		f.See(m, list)
		f.Start(m, replica.New())
	}
	return f
}

// rewrite has the liar tell its lie in whatever of its messages it fits.
func (f *liarFleet) rewrite(to *meshtest.Member, write []byte, tells lie) []byte {
	f.t.Helper()
	var out []byte
	from := bytes.NewReader(write)
	for frames := wire.NewReader(from); from.Len() > 0; {
		m, _, err := frames.Read()
		if err != nil {
			f.t.Fatal(err)
		}
		if tells(f, to, m) {
			f.told++
		}
		if out, err = wire.AppendFrame(out, m); err != nil {
			f.t.Fatal(err)
		}
	}
	return out
}

// record remembers all that a host signs.
func (f *liarFleet) record(seal func() ([]byte, func([]byte) []byte)) func() ([]byte, func([]byte) []byte) {
	return func() ([]byte, func([]byte) []byte) {
		credential, sign := seal()
		return credential, func(head []byte) []byte {
			f.published[string(head)] = true
			return sign(head)
		}
	}
}

// say has a member publish an instance.
func (f *liarFleet) say(m *meshtest.Member, text string) {
	f.Do(m, func(now time.Time) {
		m.Publish([]replica.OwnRow{
			{Key: wire.HostKey(m.ID), Body: wire.EncodeHost(fleet.Host{ID: m.ID, Name: "host", Hardware: m.Hardware})},
			{Key: wire.InstanceKey(fleet.UUID{7, byte(m.Index)}), Body: wire.EncodeInstance(fleet.Instance{Name: text})},
		}, now)
	})
}

// look fails the test if anybody holds what its host never published.
func (f *liarFleet) look() {
	f.t.Helper()
	for _, m := range f.Nodes {
		if m.Failed != nil {
			f.t.Fatalf("%d gave up: %v", m.Index, m.Failed)
		}
	}
	for _, m := range f.Nodes {
		for b := range m.Replica().Blocks() {
			if head := b.Head(); !f.published[string(head.AppendSigned(nil))] {
				f.t.Fatalf("%d holds what its host never said: %+v", m.Index, head)
			}
		}
	}
}

// run goes on for so long, and looks at every step.
func (f *liarFleet) run(d time.Duration) {
	f.t.Helper()
	for end := f.Clock() + d; f.Clock() < end; {
		f.Run(4 * time.Millisecond)
		f.look()
	}
}

// everywhere reports whether all hold the same.
func (f *liarFleet) everywhere() bool {
	for _, m := range f.Nodes[1:] {
		if m.Replica().Root() != f.Nodes[1].Replica().Root() || m.Replica().Len() != len(f.Nodes) {
			return false
		}
	}
	return true
}

func (f *liarFleet) refused() (unproven uint64) {
	for _, m := range f.Nodes {
		unproven += m.Stats().Unproven
	}
	return unproven
}

// eachForeign calls change for the whole blocks of other hosts in an answer.
func eachForeign(f *liarFleet, to *meshtest.Member, m wire.Message, change func(d *wire.Delta)) bool {
	lied := false
	answer, ok := m.(*wire.Answer)
	for i := 0; ok && i < len(answer.Deltas); i++ {
		if d := &answer.Deltas[i]; d.Form == wire.Whole && d.Head.Host != f.liar.ID && d.Head.Host != to.ID {
			change(d)
			lied = true
		}
	}
	return lied
}

// eachChange calls change for the changes in an answer that were asked for.
func eachChange(m wire.Message, change func(d *wire.Delta)) bool {
	lied := false
	answer, ok := m.(*wire.Answer)
	for i := 0; ok && i < len(answer.Deltas); i++ {
		if d := &answer.Deltas[i]; d.Form == wire.Changes && !d.Pushed() {
			change(d)
			lied = true
		}
	}
	return lied
}

// rehash makes the head say what the rows are.
func rehash(d *wire.Delta) {
	var hashes []byte
	for i := range d.Rows {
		hash := d.Rows[i].Hash()
		hashes = append(hashes, hash[:]...)
	}
	d.Head.Count, d.Head.Hash = len(d.Rows), wire.SumOf(hashes)
}

// forge makes rows of a host whose head the liar signs.
func forge(f *liarFleet, d *wire.Delta, credential []byte) {
	_, sign := f.seal()
	for i := range d.Rows {
		if d.Rows[i].Kind == wire.KindCredential && credential != nil {
			d.Rows[i].Body = credential
		}
	}
	d.Head.Seq++
	rehash(d)
	d.Signature = sign(d.Head.AppendSigned(nil))
}

var lies = map[string]lie{
	"changed rows": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		return eachForeign(f, to, m, func(d *wire.Delta) {
			d.Rows[0].Body = wire.EncodeHost(fleet.Host{ID: d.Head.Host, Name: "stolen"}).Bytes()
			rehash(d)
		})
	},
	"an older block with a higher seq": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		return eachForeign(f, to, m, func(d *wire.Delta) { d.Head.Seq += 1000 })
	},
	"a change with a higher seq": func(_ *liarFleet, _ *meshtest.Member, m wire.Message) bool {
		return eachChange(m, func(d *wire.Delta) { d.Head.Seq += 1000 })
	},
	"a host that does not exist": func(f *liarFleet, _ *meshtest.Member, m wire.Message) bool {
		answer, ok := m.(*wire.Answer)
		if !ok {
			return false
		}
		credential, _ := f.seal()
		d := wire.Delta{Form: wire.Whole, Head: wire.Head{Host: fleet.UUID{0xbb}, Incarnation: 1, Epoch: 1}}
		d.Tag = wire.TagOf(d.Head.Host)
		d.Rows = []wire.Row{
			{Key: wire.HostKey(d.Head.Host), Body: wire.EncodeHost(fleet.Host{ID: d.Head.Host}).Bytes()},
			{Key: wire.CredentialKey(), Body: credential},
		}
		forge(f, &d, nil)
		answer.Deltas = append(answer.Deltas, d)
		return true
	},
	"the host's certificate, the liar's signature": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		return eachForeign(f, to, m, func(d *wire.Delta) { forge(f, d, nil) })
	},
	"the liar's certificate and signature": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		credential, _ := f.seal()
		return eachForeign(f, to, m, func(d *wire.Delta) { forge(f, d, credential) })
	},
	"no certificate": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		return eachForeign(f, to, m, func(d *wire.Delta) {
			d.Rows = slices.DeleteFunc(slices.Clone(d.Rows), func(r wire.Row) bool { return r.Kind == wire.KindCredential })
			rehash(d)
		})
	},
	"no signature": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		return eachForeign(f, to, m, func(d *wire.Delta) { d.Signature = nil })
	},
	"a change without signature": func(_ *liarFleet, _ *meshtest.Member, m wire.Message) bool {
		return eachChange(m, func(d *wire.Delta) { d.Signature = nil })
	},
	"a block of the receiver's own": func(f *liarFleet, to *meshtest.Member, m wire.Message) bool {
		answer, ok := m.(*wire.Answer)
		if !ok {
			return false
		}
		credential, _ := f.seal()
		d := wire.Delta{Tag: wire.TagOf(to.ID), Form: wire.Whole, Head: wire.Head{Host: to.ID, Incarnation: 1, Epoch: 1 << 40}}
		d.Rows = []wire.Row{
			{Key: wire.HostKey(to.ID), Body: wire.EncodeHost(fleet.Host{ID: to.ID, Hardware: "another machine"}).Bytes()},
			{Key: wire.CredentialKey(), Body: credential},
		}
		forge(f, &d, nil)
		answer.Deltas = append(answer.Deltas, d)
		return true
	},
}

// What the lying member passes on of others is taken and passed on by nobody,
// its sender is found out, and what hosts say of themselves gets everywhere
// while it goes on lying.
func TestMemberCanLieOnlyAboutItself(t *testing.T) {
	for name, tells := range lies {
		t.Run(name, func(t *testing.T) {
			f := newLiarFleet(t, tells)
			lives := map[*meshtest.Member]uint64{}
			for round := range 4 {
				for _, m := range f.Nodes {
					f.say(m, fmt.Sprint(name, round))
				}
				f.run(1500 * time.Millisecond)
				for _, m := range f.Nodes[1+round : 5+round] { // they ask their peers for all that there is
					f.Kill(m, true)
					f.Start(m, replica.New())
					lives[m]++
				}
			}
			for _, m := range f.Nodes {
				f.say(m, "last")
			}
			if !f.RunUntil(30*time.Second, 10*time.Millisecond, func() bool { f.look(); return f.everywhere() }) {
				t.Error("honest news is not everywhere")
			}
			if f.told == 0 || f.refused() == 0 {
				t.Errorf("%d lies were told and %d refused", f.told, f.refused())
			}
			for _, m := range f.Nodes {
				if epoch := m.Replica().Version(m.ID).Epoch; epoch != 1+lives[m] {
					t.Errorf("%d is in epoch %d in life %d", m.Index, epoch, 1+lives[m])
				}
			}
		})
	}
}

// What a peer says in its hello of a host's earlier life is no proof: it neither
// makes the host raise its epoch nor take itself for a clone.
func TestHelloAloneTellsNoHostOfAnotherLife(t *testing.T) {
	f := newLiarFleet(t, func(_ *liarFleet, _ *meshtest.Member, m wire.Message) bool {
		hello, ok := m.(*wire.Hello)
		if ok {
			hello.Yours = &wire.Life{Epoch: 1 << 40, Incarnation: 9, Seq: 1, Hardware: "another machine"}
		}
		return ok
	})
	for _, m := range f.Nodes {
		f.say(m, "here")
	}
	f.run(5 * time.Second)
	if f.told == 0 || !f.everywhere() {
		t.Errorf("%d lies; honest news is everywhere: %v", f.told, f.everywhere())
	}
	for _, m := range f.Nodes {
		if epoch := m.Replica().Version(m.ID).Epoch; epoch != 1 {
			t.Errorf("%d is in epoch %d", m.Index, epoch)
		}
	}
}

// A host that lost its disk rises above what its peers prove that it said.
func TestLostEpochIsProvenByThePeers(t *testing.T) {
	f := newLiarFleet(t, func(*liarFleet, *meshtest.Member, wire.Message) bool { return false })
	for _, m := range f.Nodes {
		f.say(m, "here")
	}
	f.run(5 * time.Second)
	victim := f.Nodes[4]
	for range 2 {
		f.Kill(victim, true)
		f.WipeDisk(victim)
		f.Run(time.Second)
		f.Start(victim, replica.New())
		f.say(victim, "again")
		f.run(5 * time.Second)
	}
	if epoch := victim.Replica().Version(victim.ID).Epoch; epoch != 3 || !f.everywhere() {
		t.Errorf("after two losses the epoch is %d", epoch)
	}
}
