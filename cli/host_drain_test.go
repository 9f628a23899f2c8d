package cli

import (
	"net/http"
	"strings"
	"testing"

	"grapevine/fleet"
)

// drainNode is a node with a host whose drain is as it is told, once it has
// been begun.
func drainNode(t *testing.T, after ...fleet.DrainMachine) *node {
	t.Helper()
	n := fleetNode(t)
	going := fleet.Drain{Host: id(0xa1), HostName: "kvm-1", Phase: fleet.DrainGoing, Machines: after}
	for _, m := range after {
		if m.Remains {
			going.Remaining++
		}
	}
	planned := fleet.Drain{Host: id(0xa1), HostName: "kvm-1", Phase: fleet.DrainPlanned, Remaining: 1, Machines: []fleet.DrainMachine{
		{Instance: id(1), Name: "web", Ownership: fleet.Managed, Power: fleet.PowerRunning, Step: fleet.DrainShutDown, Remains: true},
	}}
	n.mux.HandleFunc("GET /v1/hosts/{id}/drain", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("mode") != "" {
			reply(w, http.StatusOK, planned)
			return
		}
		reply(w, http.StatusOK, going)
	})
	n.answer("POST /v1/hosts/{id}/drain", http.StatusAccepted, planned)
	restored := going
	restored.Phase = fleet.DrainRestored
	n.answer("POST /v1/hosts/{id}/undrain", http.StatusAccepted, restored)
	return n
}

func TestDrainShowsThePlanAndAsks(t *testing.T) {
	n := drainNode(t)
	run(t, n.URL, "host", "drain", "kvm-1", "--stop").wants(t, 2, "", "there is no terminal to ask on; give --yes")
	run(t, n.URL, "host", "drain", "kvm-1", "--stop", "--plan").wants(t, 0, "shutdown", "")
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Errorf("got %v, want nothing done", got)
	}
	run(t, n.URL, "host", "drain", "kvm-1", "--force", "--yes").wants(t, 2, "", "belong to --stop")
}

func TestDrainFailsWhileAnyMachineRemains(t *testing.T) {
	stopped := fleet.DrainMachine{Instance: id(1), Name: "web", Power: fleet.PowerStopped, Step: fleet.DrainNothing, Outcome: "stopped"}
	n := drainNode(t, stopped)
	run(t, n.URL, "host", "drain", "kvm-1", "--stop", "--deadline", "90s", "--force", "--yes").wants(t, 0, "stopped", "")
	if got := n.requests(http.MethodPost); len(got) != 1 || got[0].Body != `{"mode":"stop","deadline_ms":90000,"force":true}` {
		t.Errorf("got %v", got)
	}
	foreign := fleet.DrainMachine{Instance: id(2), Name: "legacy", Power: fleet.PowerRunning, Step: fleet.DrainRemains, Detail: "it is foreign", Remains: true}
	r := run(t, drainNode(t, stopped, foreign).URL, "host", "drain", "kvm-1", "--stop", "--yes")
	r.wants(t, 1, "it is foreign", "1 machine remains on host kvm-1")
	waits := fleet.DrainMachine{Instance: id(3), Name: "db", Power: fleet.PowerRunning, Step: fleet.DrainWaits, Remains: true}
	r = run(t, drainNode(t, waits).URL, "host", "drain", "kvm-1", "--yes", "--wait", "1ms")
	r.wants(t, 1, "db", "1 machine remains")
}

func TestUndrainSaysWhatWasNotStartedAgain(t *testing.T) {
	run(t, drainNode(t, fleet.DrainMachine{Name: "web", Outcome: "started"}).URL, "host", "undrain", "kvm-1", "--wait", "1m").wants(t, 0, "started", "")
	n := drainNode(t, fleet.DrainMachine{Name: "web", Outcome: "failed", Detail: "no memory"})
	if r := run(t, n.URL, "host", "undrain", "kvm-1"); r.code != 1 || !strings.Contains(r.err, "web was not started again: no memory") {
		t.Errorf("got %+v", r)
	}
}
