package cli

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"grapevine/fleet"
)

// witnesses is a report of five, of which one is not heard and one learns.
func witnesses(changing bool) fleet.WitnessReport {
	r := fleet.WitnessReport{Set: fleet.WitnessSet{Number: 4}, Waiting: []string{}}
	for n, name := range []string{"kvm-1", "kvm-2", "kvm-3", "kvm-4", "kvm-5"} {
		row := fleet.WitnessRow{Host: id(n + 1), Name: name, WitnessState: fleet.WitnessState{Set: r.Set, Ready: true, Keys: 12}}
		r.Set.Members = append(r.Set.Members, row.Host)
		r.Members = append(r.Members, row)
	}
	r.Members[1].WitnessState, r.Members[1].Fault = fleet.WitnessState{}, "it does not answer"
	r.Members[2].Ready, r.Members[2].Why = false, "it reads what the others have"
	if changing {
		r.Set.Old = []fleet.HostID{id(9)}
		r.Members[0].Coming, r.Members[3].Going = true, true
	}
	return r
}

func TestWitnessesAreListedWithWhatEachSays(t *testing.T) {
	n := newNode(t)
	n.answer("GET /v1/witnesses", http.StatusOK, witnesses(true))
	r := run(t, n.URL, "witness", "list")
	r.wants(t, 0, "", "the set is being changed: majorities of the old and of the new witnesses are needed")
	golden(t, "witness-list.txt", r.out)
	run(t, n.URL, "witness", "list", "-o", "json").wants(t, 0, `"number": 4`, "")
}

func TestNoWitnessesIsSaid(t *testing.T) {
	n := newNode(t)
	n.answer("GET /v1/witnesses", http.StatusOK, fleet.WitnessReport{Members: []fleet.WitnessRow{}, Waiting: []string{"kvm-1"}})
	r := run(t, n.URL, "witness", "list")
	r.wants(t, 0, "", "there is no witness set: each key is kept by one host, its home")
	if strings.Contains(r.err, "handed their keys over") {
		t.Errorf("homes that are as they should be are said to be late: %s", r.err)
	}
}

func TestFirstWitnessSetTakesFiveHosts(t *testing.T) {
	n := newNode(t)
	report := witnesses(false)
	report.Waiting = []string{"esx-1"}
	n.answer("POST /v1/witnesses", http.StatusOK, report)
	run(t, n.URL, "witness", "set", "kvm-1", "kvm-2", "kvm-3").wants(t, 2, "", "HOST")
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Fatalf("asked already: %v", got)
	}
	run(t, n.URL, "witness", "set", "kvm-1", "kvm-2", "kvm-3", "kvm-4", "kvm-5").wants(t, 0, "kvm-5", "not all hosts have handed their keys over yet: esx-1")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].URI != "/v1/witnesses" || !strings.Contains(got[0].Body, `"members":["kvm-1","kvm-2","kvm-3","kvm-4","kvm-5"]`) {
		t.Errorf("got %v", got)
	}
}

func TestReplacedWitnessIsWaitedFor(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/witnesses", http.StatusOK, witnesses(true))
	var asked atomic.Int32
	n.mux.HandleFunc("GET /v1/witnesses", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		reply(w, http.StatusOK, witnesses(false))
	})
	run(t, n.URL, "witness", "replace", "kvm-9", "kvm-1", "--no-wait").wants(t, 0, "comes", "the set is being changed")
	if asked.Load() != 0 {
		t.Error("it waited, and was told not to")
	}
	r := run(t, n.URL, "witness", "replace", "kvm-9", "kvm-1")
	r.wants(t, 0, "kvm-1", "")
	if asked.Load() != 1 || strings.Contains(r.out+r.err, "being changed") || strings.Contains(r.out, "comes") {
		t.Errorf("looked %d times, and said\n%s%s", asked.Load(), r.out, r.err)
	}
	if got := n.requests(http.MethodPost); len(got) != 2 || !strings.Contains(got[1].Body, `"old":"kvm-9"`) || !strings.Contains(got[1].Body, `"new":"kvm-1"`) {
		t.Errorf("got %v", got)
	}
}

func TestWitnessChangeThatIsRefusedSaysWhy(t *testing.T) {
	n := newNode(t)
	n.mux.HandleFunc("POST /v1/witnesses", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusConflict, map[string]string{"code": "conflict", "detail": "there is a witness set already"})
	})
	run(t, n.URL, "witness", "set", "a", "b", "c", "d", "e").wants(t, 1, "", "there is a witness set already")
}
