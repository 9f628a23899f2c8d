package mesh

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
)

// startSerfs runs n members with real Serf and waits until all know all.
func (w *world) startSerfs(n int) []*member {
	w.t.Helper()
	members := make([]*member, n)
	for i := range n {
		members[i] = w.startSerf(nameOf(i))
		members[i].say(0)
	}
	w.waitFor(time.Minute, "all know each other", func() bool {
		for _, x := range members {
			if len(x.Members()) != n {
				return false
			}
		}
		return true
	})
	return members
}

func TestRoundTripsAreMeasuredAndEstimated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := lan()
		opts.MinDelay, opts.MaxDelay = 5*time.Millisecond, 6*time.Millisecond
		w := newWorld(t, opts)
		members := w.startSerfs(4)
		a, b, c := members[0], members[1], members[2]
		trip, err := a.Ping(t.Context(), b.cfg.ID)
		if err != nil || !trip.Measured || trip.From != a.cfg.ID || trip.To != b.cfg.ID || trip.RTTMS < 10 || trip.RTTMS > 12 {
			t.Errorf("the ping says %+v, %v", trip, err)
		}
		time.Sleep(5 * time.Minute)
		trip, err = a.RTT(b.cfg.ID, c.cfg.ID)
		if err != nil || trip.Measured || trip.From != b.cfg.ID || trip.RTTMS < 5 || trip.RTTMS > 20 {
			t.Errorf("between two others it says %+v, %v", trip, err)
		}
		if trip, err = a.RTT(a.cfg.ID, a.cfg.ID); err != nil || trip.RTTMS != 0 {
			t.Errorf("to itself it says %+v, %v", trip, err)
		}
		if _, err = a.RTT(a.cfg.ID, idOf("nobody")); fleet.CodeOf(err) != fleet.CodeNotFound {
			t.Errorf("to a stranger it says %v", err)
		}
		w.net.Cut(a.name, b.name)
		if _, err = a.Ping(t.Context(), b.cfg.ID); fleet.CodeOf(err) != fleet.CodeHostUnreachable {
			t.Errorf("across a cut the ping says %v", err)
		}
		w.net.Heal()
		late := w.startSerf(nameOf(9))
		w.waitFor(time.Minute, "the newcomer is known", func() bool { return len(late.Members()) == 5 })
		if _, err = late.RTT(b.cfg.ID, c.cfg.ID); fleet.CodeOf(err) != fleet.CodeNotReady || !strings.Contains(err.Error(), "wait, measure") {
			t.Errorf("a newcomer says %v", err)
		}
		w.stopAll()
	})
}

func TestWhoLeavesIsListedAsLeftAndStaysAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := w.startSerfs(4)
		leaver := members[2]
		if err := leaver.Leave(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.waitFor(10*time.Second, "all list it as left", func() bool {
			for _, x := range members {
				if statuses(x)[leaver.name] != fleet.MemberLeft {
					return false
				}
			}
			return true
		})
		time.Sleep(5 * time.Minute)
		for _, x := range members {
			if got := statuses(x)[leaver.name]; got != fleet.MemberLeft {
				t.Errorf("five minutes later %s lists it as %s", x.name, got)
			}
		}
		if err := leaver.Leave(t.Context()); err != nil {
			t.Errorf("leaving again: %v", err)
		}
		w.stop(leaver)
		if leaver.err != nil {
			t.Errorf("it ended with %v", leaver.err)
		}
		w.stopAll()
	})
}

// fingerprints lists a report's keys as fingerprint:members:primary.
func checkKeys(t *testing.T, m *member, want ...fleet.GossipKey) {
	t.Helper()
	report, err := m.Keys(t.Context(), fleet.GossipKeyChange{})
	if err != nil || len(report.Errors) > 0 || report.Answered != report.Members {
		t.Errorf("listing keys: %+v, %v", report, err)
	}
	if len(report.Keys) != len(want) {
		t.Fatalf("keys are %+v, want %+v", report.Keys, want)
	}
	for i, k := range report.Keys {
		if k != want[i] {
			t.Errorf("key %d is %+v, want %+v", i, k, want[i])
		}
	}
}

func TestGossipKeysAreRotatedWithoutRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := lan()
		opts.PacketLoss = 0.05
		w := newWorld(t, opts)
		const n = 12
		members := w.startSerfs(n)
		ctx, old := context.Background(), fleet.GossipKeyFingerprint(make([]byte, 16))
		checkKeys(t, members[1], fleet.GossipKey{Fingerprint: old, Members: n, Primary: n})
		change := func(c fleet.GossipKeyChange) fleet.GossipKeyReport {
			t.Helper()
			report, err := members[3].Keys(ctx, c)
			if err != nil || len(report.Errors) > 0 {
				t.Fatalf("%s %s: %+v, %v", c.Action, c.Key, report, err)
			}
			return report
		}
		fresh := change(fleet.GossipKeyChange{Action: fleet.GossipKeyInstall}).Changed
		checkKeys(t, members[1], fleet.GossipKey{Fingerprint: old, Members: n, Primary: n}, fleet.GossipKey{Fingerprint: fresh, Members: n})
		change(fleet.GossipKeyChange{Action: fleet.GossipKeyUse, Key: fresh})
		report, err := members[3].Keys(ctx, fleet.GossipKeyChange{Action: fleet.GossipKeyRemove, Key: fresh})
		if err != nil || len(report.Errors) != n || report.Errors[0].Name == "" || !strings.Contains(report.Errors[0].Error, "primary") {
			t.Errorf("removing the key in use: %+v, %v", report, err)
		}
		change(fleet.GossipKeyChange{Action: fleet.GossipKeyRemove, Key: old})
		checkKeys(t, members[n-1], fleet.GossipKey{Fingerprint: fresh, Members: n, Primary: n})
		time.Sleep(2 * time.Minute)
		for _, x := range members {
			for name, status := range statuses(x) {
				if status != fleet.MemberAlive {
					t.Errorf("%s lists %s as %s", x.name, name, status)
				}
			}
		}
		w.stopAll()
	})
}

func TestKeyThatSomeLackIsNotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, lan())
		members := w.startSerfs(4)
		key := []byte("sixteen bytes..!")
		if err := members[0].members.(*serfMembers).ring.AddKey(key); err != nil {
			t.Fatal(err)
		}
		use := fleet.GossipKeyChange{Action: fleet.GossipKeyUse, Key: fleet.GossipKeyFingerprint(key)}
		if _, err := members[0].Keys(t.Context(), use); fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), "3 of 4 members") {
			t.Errorf("using a key that three lack: %v", err)
		}
		for _, bad := range []fleet.GossipKeyChange{{Action: "burn"}, {Action: fleet.GossipKeyUse, Key: "short"}, {Action: fleet.GossipKeyRemove}} {
			if _, err := members[0].Keys(t.Context(), bad); fleet.CodeOf(err) != fleet.CodeInvalid {
				t.Errorf("%+v: %v", bad, err)
			}
		}
		w.stopAll()
	})
}
