package mesh

import (
	"bytes"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// What memberlist's members say of each other, in its protocol.
type (
	aliveWord struct {
		Incarnation uint32
		Node        string
		Addr        []byte
		Port        uint16
		Meta        []byte
		Vsn         []uint8
	}
	suspectWord struct {
		Incarnation uint32
		Node, From  string
	}
)

const (
	suspectType byte = 3
	aliveType   byte = 4
)

func gossipPacket(t *testing.T, label string, kind byte, word any) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{kind})
	if err := codec.NewEncoder(b, &codec.MsgpackHandle{}).Encode(word); err != nil {
		t.Fatal(err)
	}
	packet, err := memberlist.AddLabelHeaderToPacket(b.Bytes(), label)
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

// These five words, between two rounds of gossip, make memberlist's queue at
// the accused remove its refutation before it was sent once: the second takes
// number 2 of a queue that is counted from 1 again, so that the refutation gets
// number 2 as well; and the last removes what has number 2.
func TestARefutationThatMemberlistLosesIsSaidAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := lan()
		opts.MaxDelay = opts.MinDelay // what is sent in one go arrives in that order
		h := newHerd(t, opts)
		h.key = nil
		for range 8 {
			h.add(nil)
		}
		h.join()
		accused, observer, one, other := h.members[0], h.members[1], h.members[2], h.members[3]
		outside := h.net.Transport("10.9.9.9:7946")
		say := func(to *sheep, kind byte, word any) {
			if _, err := outside.WriteTo(gossipPacket(t, to.cfg.Label, kind, word), to.name+":7946"); err != nil {
				t.Fatal(err)
			}
		}
		alive := func(of *sheep, incarnation uint32) {
			n := nodeOf(t, observer, of)
			say(accused, aliveType, aliveWord{
				incarnation, n.Name, n.Addr, n.Port, n.Meta, []uint8{n.PMin, n.PMax, n.PCur, n.DMin, n.DMax, n.DCur},
			})
		}
		suspect := func(to *sheep, from string) {
			say(to, suspectType, suspectWord{50, idOf(accused.name).String(), idOf(from).String()})
		}
		// All act on whole tenths of a second, and answer a millisecond later.
		time.Sleep(time.Second - time.Since(h.start)%time.Second + 37*time.Millisecond)
		alive(one, 50)
		alive(one, 51)
		alive(other, 50)
		suspect(accused, "whoever began")
		alive(one, 52)
		for i := range suspicionMult - 1 {
			suspect(observer, fmt.Sprint("accuser ", i))
		}
		time.Sleep(10 * time.Second)
		if n := h.suspected.Load(); n != 1 {
			t.Errorf("the accused refuted %d times, want once", n)
		}
		for _, f := range h.failures() {
			t.Errorf("%v after the start %s declared %s failed, which lives", f.at, f.by, f.about)
		}
		if err := outside.Shutdown(); err != nil {
			t.Error(err)
		}
		h.end()
	})
}

// nodeOf returns what a member knows of another.
func nodeOf(t *testing.T, x, about *sheep) *memberlist.Node {
	t.Helper()
	for _, n := range x.serf.Memberlist().Members() {
		if n.Name == idOf(about.name).String() {
			return n
		}
	}
	t.Fatalf("%s does not know %s", x.name, about.name)
	return nil
}

func TestTimeToSendGrowsWithTheMembers(t *testing.T) {
	for members, want := range map[int]time.Duration{
		1: 3 * time.Second, 2: 3 * time.Second, 3: 1800 * time.Millisecond, 9: 1400 * time.Millisecond,
		30: 2200 * time.Millisecond, 100: 3 * time.Second, 9_000: 3800 * time.Millisecond, 10_000: 4600 * time.Millisecond,
	} {
		if got := timeToSend(members); got != want {
			t.Errorf("%d members: %v, want %v", members, got, want)
		}
	}
}

func TestSayingThatOneIsAliveIsNoNewsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		one, other := w.startSerf(nameOf(0)), w.startSerf(nameOf(1))
		w.waitFor(time.Minute, "both know each other", func() bool { return len(one.Members()) == 2 && len(other.Members()) == 2 })
		time.Sleep(time.Second)
		changed := one.MembersChanged()
		for range 10 { // as many orders of the tags
			if !other.members.(*serfMembers).sayAlive() {
				t.Error("its word did not go out")
			}
		}
		select {
		case <-changed:
			t.Error("its members changed")
		default:
		}
		other.members.(*serfMembers).serf.SetTags(map[string]string{tagName: "renamed"})
		w.waitFor(time.Minute, "another name is known", func() bool { return statuses(one)["renamed"] != "" })
		w.stopAll()
	})
}

func TestAnUpdateIsNewsOnceAndAfterAnyOtherEvent(t *testing.T) {
	event := func(kind serf.EventType, name string) serf.Event {
		return serf.MemberEvent{Type: kind, Members: []serf.Member{{Name: "a", Tags: map[string]string{"n": name}}}}
	}
	told := news{}
	for i, step := range []struct {
		event serf.Event
		want  bool
	}{
		{event(serf.EventMemberUpdate, "x"), true}, // of a member that nobody knew
		{event(serf.EventMemberUpdate, "x"), false},
		{event(serf.EventMemberUpdate, "y"), true},
		{event(serf.EventMemberUpdate, "y"), false},
		{event(serf.EventMemberFailed, "y"), true},
		{event(serf.EventMemberUpdate, "y"), true},
		{event(serf.EventMemberJoin, "y"), true},
		{event(serf.EventMemberUpdate, "y"), false},
		{serf.UserEvent{}, true},
	} {
		if got := told.any(step.event); got != step.want {
			t.Errorf("step %d, %v: %v, want %v", i, step.event, got, step.want)
		}
	}
}
