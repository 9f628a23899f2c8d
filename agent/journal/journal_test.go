package journal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/agent/homes"
	"grapevine/agent/journal"
	"grapevine/agent/ledger"
	"grapevine/drivers"
	"grapevine/fleet"
)

var (
	host     = fleet.UUID{1}
	instance = fleet.UUID{2}
	at       = time.Unix(1_700_000_000, 0).UTC()
)

func open(t *testing.T, path string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// reopen closes and opens the journal, as a restart of the agent does.
func reopen(t *testing.T, j *journal.Journal, path string) *journal.Journal {
	t.Helper()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	t.Cleanup(func() { j.Close() })
	return j
}

func operation(n uint64) journal.Operation {
	return journal.Operation{Operation: fleet.Operation{
		ID: fleet.OperationID(host, n), Host: host, Instance: instance, Verb: "create", State: fleet.OperationRunning, StartedAt: at,
	}}
}

func claim() *ledger.Claim {
	return &ledger.Claim{
		Proposal: fleet.Proposal{
			Request: fleet.Request{
				ID: instance, Name: "web", Project: "default", Flavor: "nano",
				Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128}, Labels: map[string]string{"tier": "front"},
			},
			RequestHash: "abc", Attempt: 2,
		},
		Operation: fleet.OperationID(host, 7),
	}
}

func TestEverythingSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	entry := homes.Entry{Record: fleet.KeyRecord{Instance: instance, RequestHash: "abc", Host: host, Attempt: 1}, IdleSince: at}
	for _, err := range []error{
		j.BindHost(host, "board-1"),
		j.SetHostState(fleet.HostCordoned),
		j.StoreEpoch(4, 99),
		j.Begin(operation(7), claim()),
		j.Refuse(journal.Refusal{Instance: fleet.UUID{3}, Attempt: 5, At: at}),
		j.Refuse(journal.Refusal{Instance: fleet.UUID{3}, Attempt: 2, At: at}), // late, and changes nothing
		j.PutKeys(entry),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	j = reopen(t, j, path)

	gotHost, err := j.Host()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(journal.Host{ID: host, Hardware: "board-1", State: fleet.HostCordoned}, gotHost); diff != "" {
		t.Errorf("host (-want +got):\n%s", diff)
	}
	if epoch, incarnation, _ := j.LoadEpoch(); epoch != 4 || incarnation != 99 {
		t.Errorf("got epoch %d and incarnation %d, want 4 and 99", epoch, incarnation)
	}
	claims, _ := j.Claims()
	if diff := cmp.Diff([]ledger.Claim{*claim()}, claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	operations, _ := j.Operations()
	if diff := cmp.Diff([]journal.Operation{operation(7)}, operations); diff != "" {
		t.Errorf("operations (-want +got):\n%s", diff)
	}
	refusals, _ := j.Refusals()
	if diff := cmp.Diff([]journal.Refusal{{Instance: fleet.UUID{3}, Attempt: 5, At: at}}, refusals); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	keys, _ := j.Keys()
	if diff := cmp.Diff([]homes.Entry{entry}, keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
}

func TestEndOfAnOperationSettlesItsClaim(t *testing.T) {
	deletion := journal.Deletion{Instance: instance, RequestHash: "abc", At: at}
	failed := claim()
	failed.Fault = "no room"
	for _, c := range []struct {
		name      string
		outcome   journal.Outcome
		claims    []ledger.Claim
		deletions []journal.Deletion
	}{
		{"built", journal.Outcome{Release: true}, nil, nil},
		{"failed", journal.Outcome{Fault: "no room"}, []ledger.Claim{*failed}, nil},
		{"deleted", journal.Outcome{Release: true, Deleted: &deletion}, nil, []journal.Deletion{deletion}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal.db")
			j := open(t, path)
			op := operation(1)
			if err := j.Begin(op, claim()); err != nil {
				t.Fatal(err)
			}
			op.State = fleet.OperationSucceeded
			if err := j.End(op, c.outcome); err != nil {
				t.Fatal(err)
			}
			j = reopen(t, j, path)
			claims, _ := j.Claims()
			if diff := cmp.Diff(c.claims, claims); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
			deletions, _ := j.Deletions()
			if diff := cmp.Diff(c.deletions, deletions); diff != "" {
				t.Errorf("deletions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOperationNumbersAreNotReusedAfterPruning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	op := operation(12)
	ended := at
	op.State, op.EndedAt = fleet.OperationSucceeded, &ended
	if err := j.Begin(op, nil); err != nil {
		t.Fatal(err)
	}
	if got, err := j.Prune(at.Add(time.Hour)); got.Operations != 1 || err != nil {
		t.Fatalf("pruned %+v, %v; want the one operation", got, err)
	}
	j = reopen(t, j, path)
	if n, _ := j.LastOperation(); n != 12 {
		t.Errorf("got last operation %d, want 12", n)
	}
}

func TestEpochNeverGoesBack(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	defer j.Close()
	if err := j.StoreEpoch(5, 1); err != nil {
		t.Fatal(err)
	}
	if err := j.StoreEpoch(4, 2); err == nil {
		t.Error("stored an older epoch, want an error")
	}
}

func TestSecondAgentIsToldWhoHoldsTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	defer j.Close()
	_, err := journal.Open(path)
	if err == nil || !strings.Contains(err.Error(), "held by another process") {
		t.Errorf("got %v, want to be told that another process holds it", err)
	}
}

func TestWhatAnOperationMadeIsCopiedWithItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	machine := journal.SeenMachine{Machine: drivers.Machine{ID: instance, Name: "web", Power: fleet.PowerRunning}, At: at}
	other := journal.SeenMachine{Machine: drivers.Machine{ID: fleet.UUID{8}, Name: "legacy", Power: fleet.PowerRunning}, At: at}
	if err := j.SaveSeen(journal.Seen{Machines: []journal.SeenMachine{other}}); err != nil {
		t.Fatal(err)
	}
	op := operation(1)
	if err := j.Begin(op, claim()); err != nil {
		t.Fatal(err)
	}
	if err := j.End(op, journal.Outcome{Release: true, Seen: &machine}); err != nil {
		t.Fatal(err)
	}
	j = reopen(t, j, path)
	seen, ok, err := j.Seen()
	if err != nil || !ok {
		t.Fatalf("got %v, %v; want the copy", ok, err)
	}
	if diff := cmp.Diff([]journal.SeenMachine{machine, other}, seen.Machines); diff != "" {
		t.Errorf("machines (-want +got):\n%s", diff)
	}
	if err := j.SaveSeen(journal.Seen{Machines: []journal.SeenMachine{other}}); err != nil {
		t.Fatal(err)
	}
	if seen, _, _ = j.Seen(); len(seen.Machines) != 1 {
		t.Errorf("got %d machines after one was gone, want 1", len(seen.Machines))
	}
}

func TestTheSameSightAgainWritesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	defer j.Close()
	seen := journal.Seen{Machines: []journal.SeenMachine{{Machine: drivers.Machine{ID: instance, Name: "web", Power: fleet.PowerRunning}, At: at}}}
	save := func() []byte {
		t.Helper()
		if err := j.SaveSeen(seen); err != nil {
			t.Fatal(err)
		}
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	first := save()
	if !bytes.Equal(first, save()) {
		t.Error("the journal was written to though nothing was new")
	}
	seen.Machines[0].Power = fleet.PowerStopped
	if bytes.Equal(first, save()) {
		t.Error("the journal was not written to though the machine stopped")
	}
}
