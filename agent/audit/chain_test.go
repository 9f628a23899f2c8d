package audit

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// chain returns n entries that follow one another from a link on.
func chain(from fleet.AuditLink, n int) []fleet.AuditEntry {
	var out []fleet.AuditEntry
	for i := range n {
		e := Join(from, fleet.AuditEntry{
			At: time.UnixMilli(int64(1_000_000 + i)), Route: "POST /v1/instances/{id}/{action}", Subject: fmt.Sprint("machine-", i), Code: fleet.AuditAccepted,
			Who: fleet.Asker{Role: "registry", Name: "r1", Address: "127.0.0.1:5"}, For: &fleet.Asker{Role: "operator", Name: "alice"},
			Version: fleet.Version{Epoch: 3, Seq: uint64(i)}, Operation: "op", Request: "aa", Status: 202, Of: 1,
		})
		out, from = append(out, e), e.Link()
	}
	return out
}

func verify(begin fleet.AuditLink, entries []fleet.AuditEntry, head fleet.AuditLink, held ...Held) []string {
	c := NewCheck(begin, held)
	c.Take(entries...)
	return c.End(head)
}

func TestWholeLogIsWhole(t *testing.T) {
	log := chain(fleet.AuditLink{}, 9)
	head := log[8].Link()
	held := []Held{{log[8].Link(), "b"}, {log[2].Link(), "a"}, {log[2].Link(), "c"}}
	if faults := verify(fleet.AuditLink{}, log, head, held...); faults != nil {
		t.Errorf("a whole log has faults: %q", faults)
	}
	if faults := verify(log[3].Link(), log[4:], head, held...); faults != nil {
		t.Errorf("a log whose oldest entries were dropped has faults: %q", faults)
	}
	if faults := verify(fleet.AuditLink{}, nil, fleet.AuditLink{}); faults != nil {
		t.Errorf("an empty log has faults: %q", faults)
	}
}

// TestEveryChangeOfAnEntryShows changes each field of each entry, one at a time.
func TestEveryChangeOfAnEntryShows(t *testing.T) {
	log := chain(fleet.AuditLink{}, 5)
	for i := range log {
		for f := range reflect.TypeFor[fleet.AuditEntry]().NumField() {
			name := reflect.TypeFor[fleet.AuditEntry]().Field(f).Name
			changed := slices.Clone(log)
			change(t, reflect.ValueOf(&changed[i]).Elem().Field(f))
			faults := verify(fleet.AuditLink{}, changed, log[4].Link())
			if len(faults) != 1 || !strings.Contains(faults[0], fmt.Sprint("entry ", i+1)) && !strings.Contains(faults[0], fmt.Sprint("entry ", i+2)) && i < 4 {
				t.Errorf("entry %d with another %s: %q", i+1, name, faults)
			}
		}
	}
}

// change makes a value another one.
func change(t *testing.T, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *string:
		*x += "x"
	case *int:
		*x++
	case *uint64:
		*x++
	case *time.Time:
		*x = x.Add(time.Millisecond)
	case *fleet.Version:
		x.Seq++
	case *fleet.Asker:
		x.Name += "x"
	case **fleet.Asker:
		*x = nil
	default:
		t.Fatalf("no change is known for %T: add one", x)
	}
}

func TestEntriesTakenOutPutInOrSwappedShow(t *testing.T) {
	log := chain(fleet.AuditLink{}, 6)
	head := log[5].Link()
	foreign := chain(fleet.AuditLink{Number: 2, Hash: log[1].Hash}, 1)
	foreign[0].Subject = "other"
	foreign[0].Hash = Hash(&foreign[0])
	swapped := slices.Clone(log)
	swapped[2], swapped[3] = swapped[3], swapped[2]
	for name, changed := range map[string][]fleet.AuditEntry{
		"taken out":     slices.Delete(slices.Clone(log), 2, 3),
		"first taken":   log[1:],
		"last taken":    log[:5],
		"put in":        slices.Insert(slices.Clone(log), 2, foreign[0]),
		"put in place":  append(append(slices.Clone(log[:2]), foreign[0]), log[3:]...),
		"swapped":       swapped,
		"twice":         slices.Insert(slices.Clone(log), 3, log[2]),
		"nothing left":  nil,
		"another chain": chain(fleet.AuditLink{Number: 3, Hash: "beef"}, 3),
	} {
		if faults := verify(fleet.AuditLink{}, changed, head); len(faults) == 0 {
			t.Errorf("%s: no fault was found", name)
		}
	}
}

// TestWhatOthersHeardCatchesALogWrittenAnew has every hash in it right.
func TestWhatOthersHeardCatchesALogWrittenAnew(t *testing.T) {
	log := chain(fleet.AuditLink{}, 6)
	held := []Held{{log[1].Link(), "node b"}, {log[4].Link(), "node c"}}
	cut := log[:3]
	if faults := verify(fleet.AuditLink{}, cut, cut[2].Link(), held...); len(faults) != 1 || !strings.Contains(faults[0], "node c heard of entry 5") {
		t.Errorf("a log that was cut back: %q", faults)
	}
	anew := append(slices.Clone(log[:2]), fleet.AuditEntry{})
	anew[2] = Join(log[1].Link(), fleet.AuditEntry{Subject: "nothing happened", At: time.UnixMilli(1)})
	anew = append(anew, chain(anew[2].Link(), 6)...)
	if faults := verify(fleet.AuditLink{}, anew, anew[8].Link(), held...); len(faults) != 1 || !strings.Contains(faults[0], "entry 5 is not the one that node c heard of") {
		t.Errorf("a log written anew: %q", faults)
	}
	if faults := verify(anew[3].Link(), anew[4:], anew[8].Link(), held...); len(faults) != 1 {
		t.Errorf("one that begins where it was written anew: %q", faults)
	}
	if faults := verify(anew[4].Link(), anew[5:], anew[8].Link(), held...); len(faults) != 1 {
		t.Errorf("one whose beginning is the entry that was heard of: %q", faults)
	}
}

// TestEntryIsTheSameAfterJSON: a log is checked where it is read, from JSON.
func TestEntryIsTheSameAfterJSON(t *testing.T) {
	e := Join(fleet.AuditLink{}, fleet.AuditEntry{At: time.Now(), Who: fleet.Asker{Name: strings.Repeat("é\xff", 200)}, Subject: "a<b>\u2028"})
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	var read fleet.AuditEntry
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if Hash(&read) != e.Hash || !reflect.DeepEqual(read, e) {
		t.Errorf("read back it is %+v, was %+v", read, e)
	}
	if len(text) > 3<<10 {
		t.Errorf("an entry takes %d bytes, more than its bound is worked out with", len(text))
	}
}
