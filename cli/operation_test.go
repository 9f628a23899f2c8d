package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestOperationShowsHowFarItIs(t *testing.T) {
	n := newNode(t)
	op := fleet.Operation{ID: fleet.OperationID(id(0xa1), 7), Host: id(0xa1), Instance: id(0x1), Verb: "create", State: fleet.OperationRunning, Step: "building"}
	answers := []*fleet.Progress{nil, {Percent: 40}, {DoneBytes: 3 << 20, TotalBytes: 8 << 20}, {DoneBytes: 3 << 20}}
	n.mux.HandleFunc("GET /v1/operations/{id}", func(w http.ResponseWriter, _ *http.Request) {
		now := op
		if len(answers) == 0 {
			now.State, now.Fault = fleet.OperationFailed, "build: the pool is full"
		} else {
			now.Progress, answers = answers[0], answers[1:]
		}
		reply(w, http.StatusOK, now)
	})
	show := func(args ...string) result {
		return run(t, n.URL, append([]string{"operation", "show", op.ID}, args...)...)
	}
	golden(t, "operation-show.golden", show().out)
	show().wants(t, 0, "progress   40 %\n", "")
	show().wants(t, 0, "progress   3 of 8 MiB\n", "")
	show().wants(t, 0, "progress   3 MiB\n", "")
	show("--wait", "1m").wants(t, 1, "fault      build: the pool is full\n", "grapevine: build: the pool is full\n")
}
