package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"grapevine/agent/audit"
	"grapevine/agent/journal"
	"grapevine/fleet"
)

// wholeLog reads the log page by page, checks it, and returns it.
func wholeLog(t *testing.T, j *journal.Journal) []fleet.AuditEntry {
	t.Helper()
	var all []fleet.AuditEntry
	page, err := j.AuditPage(fleet.AuditQuery{})
	if err != nil {
		t.Fatal(err)
	}
	head, after := page.Head, page.Begin.Number
	check := audit.NewCheck(page.Begin, nil)
	for {
		page, err := j.AuditPage(fleet.AuditQuery{After: &after, Limit: 7})
		if err != nil {
			t.Fatal(err)
		}
		check.Take(page.Items...)
		all = append(all, page.Items...)
		if page.Next == 0 {
			break
		}
		after = page.Next
	}
	if faults := check.End(head); faults != nil {
		t.Fatalf("the log is not whole: %q", faults)
	}
	if head != j.AuditHead() {
		t.Fatalf("the log ends with %v, and the head is said to be %v", head, j.AuditHead())
	}
	return all
}

func note(n int) *journal.Note {
	return &journal.Note{Entry: fleet.AuditEntry{At: time.UnixMilli(int64(n)), Route: "POST /v1/instances", Subject: fmt.Sprint("subject-", n), Code: fleet.AuditAccepted, Who: fleet.Asker{Role: "operator", Name: fmt.Sprint("person-", n)}}}
}

func TestEntryIsWrittenWithThePromise(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	n := note(1)
	carrying := j.Carrying(n)
	if err := carrying.Begin(operation(1), claim()); err != nil {
		t.Fatal(err)
	}
	if err := carrying.Step(operation(1)); err != nil {
		t.Fatal(err)
	}
	if n.Written() != 1 {
		t.Errorf("the entry has number %d, want 1", n.Written())
	}
	j = reopen(t, j, path)
	if log := wholeLog(t, j); len(log) != 1 || log[0].Subject != "subject-1" {
		t.Errorf("the log is %+v, want the one entry, once", log)
	}
	if err := j.Carrying(nil).Step(operation(1)); err != nil {
		t.Fatal(err)
	}
	if len(wholeLog(t, j)) != 1 {
		t.Error("a write on nobody's behalf has an entry")
	}
}

// TestEntryGoesWithAWriteThatFails: neither is there, and the next write carries
// the entry.
func TestEntryGoesWithAWriteThatFails(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	n := note(1)
	if err := j.StoreEpoch(5, 1); err != nil {
		t.Fatal(err)
	}
	if err := j.Carrying(n).StoreEpoch(4, 1); err == nil {
		t.Fatal("an older epoch was stored")
	}
	if n.Written() != 0 || len(wholeLog(t, j)) != 0 {
		t.Error("the entry of a write that failed is in the log")
	}
	if err := j.WriteNote(n); err != nil || n.Written() != 1 {
		t.Errorf("written then: %v, number %d", err, n.Written())
	}
}

func TestEntriesOfManyAtOnceAreOneChain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			if err := j.Carrying(note(i)).Step(operation(uint64(i + 1))); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if log := wholeLog(t, reopen(t, j, path)); len(log) != 50 {
		t.Errorf("%d entries, want 50", len(log))
	}
}

func TestLogIsBoundedAndSaysWhereItBegins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	for i := range 30 {
		if err := j.WriteNote(note(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(wholeLog(t, j)) != 30 {
		t.Fatal("entries were dropped below the limit")
	}
	j.LimitAudit(4 << 10)
	for i := range 40 {
		if err := j.WriteNote(note(i)); err != nil {
			t.Fatal(err)
		}
	}
	log := wholeLog(t, j)
	if len(log) > 15 || len(log) < 5 || log[len(log)-1].Number != 70 {
		t.Errorf("%d entries are kept, the last is %d", len(log), log[len(log)-1].Number)
	}
	page, err := j.AuditPage(fleet.AuditQuery{Limit: 1})
	if err != nil || page.Begin.Number != log[0].Number-1 || page.Begin.Hash != log[0].Before {
		t.Errorf("it begins at %+v (%v), and its first entry is %d", page.Begin, err, log[0].Number)
	}
}

func TestPagesAndFiltersOfTheLog(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal.db"))
	for i := range 10 {
		if err := j.WriteNote(note(i)); err != nil {
			t.Fatal(err)
		}
	}
	number := func(n uint64) *uint64 { return &n }
	for _, c := range []struct {
		q    fleet.AuditQuery
		want string
		next uint64
	}{
		{fleet.AuditQuery{}, "[10 9 8 7 6 5 4 3 2 1]", 0},
		{fleet.AuditQuery{Limit: 3}, "[10 9 8]", 8},
		{fleet.AuditQuery{Before: 8, Limit: 3}, "[7 6 5]", 5},
		{fleet.AuditQuery{Before: 99, Limit: 1}, "[10]", 10},
		{fleet.AuditQuery{Before: 1}, "[]", 0},
		{fleet.AuditQuery{After: number(0), Limit: 2}, "[1 2]", 2},
		{fleet.AuditQuery{After: number(9)}, "[10]", 0},
		{fleet.AuditQuery{After: number(10)}, "[]", 0},
		{fleet.AuditQuery{After: number(^uint64(0))}, "[]", 0},
		{fleet.AuditQuery{Who: "person-3"}, "[4]", 0},
		{fleet.AuditQuery{Subject: "subject-7"}, "[8]", 0},
		{fleet.AuditQuery{Since: time.UnixMilli(8)}, "[10 9]", 0},
	} {
		page, err := j.AuditPage(c.q)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, e := range page.Items {
			got = append(got, e.Number)
		}
		if fmt.Sprint(got) != c.want || page.Next != c.next {
			t.Errorf("%+v gives %v, next %d; want %s, %d", c.q, got, page.Next, c.want, c.next)
		}
	}
}

// TestJournalFromAnOldCopyLacksWhatItsHeadStoodFor is what other nodes catch.
func TestJournalFromAnOldCopyLacksWhatItsHeadStoodFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, path)
	if err := j.WriteNote(note(1)); err != nil {
		t.Fatal(err)
	}
	j.Close()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	if err := j.WriteNote(note(2)); err != nil {
		t.Fatal(err)
	}
	heard := j.AuditHead()
	j.Close()
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	j = open(t, path)
	check := audit.NewCheck(fleet.AuditLink{}, []audit.Held{{AuditLink: heard, By: "node b"}})
	check.Take(wholeLog(t, j)...)
	if faults := check.End(j.AuditHead()); len(faults) != 1 || !strings.Contains(faults[0], "cut back") {
		t.Errorf("faults are %q", faults)
	}
}

// BenchmarkPromise is what an entry adds to a promise: no wait for the disk.
func BenchmarkPromise(b *testing.B) {
	for name, audited := range map[string]bool{"bare": false, "audited": true} {
		b.Run(name, func(b *testing.B) {
			j, err := journal.Open(filepath.Join(b.TempDir(), "journal.db"))
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			for i := 0; b.Loop(); i++ {
				on := j
				if audited {
					on = j.Carrying(note(i))
				}
				if err := on.Begin(operation(uint64(i+1)), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
