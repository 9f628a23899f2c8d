package cli

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

func TestCreateShowsItsStepsOnATerminal(t *testing.T) {
	n := fleetNode(t)
	op := fleet.Operation{ID: fleet.OperationID(id(0xa1), 7), Host: id(0xa1), Verb: "create", State: fleet.OperationRunning}
	accepted := fleet.Accepted{Operation: op.ID, Instance: fleet.Instance{Name: "web", Power: fleet.PowerRunning}}
	var keys, waits []string
	n.mux.HandleFunc("POST /v1/instances", func(w http.ResponseWriter, r *http.Request) {
		keys, waits = append(keys, r.Header.Get("Idempotency-Key")), append(waits, r.URL.Query().Get("wait"))
		reply(w, http.StatusAccepted, accepted)
	})
	asked := 0
	n.mux.HandleFunc("GET /v1/operations/{id}", func(w http.ResponseWriter, _ *http.Request) {
		now := op
		switch asked++; asked {
		case 1:
		case 2:
			now.Step = "fetching image"
		case 3:
			now.Step = "building"
		default:
			now.State = fleet.OperationSucceeded
		}
		reply(w, http.StatusOK, now)
	})
	node, err := client.New(n.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	a := &app{errOut: &said, terminal: true}
	if _, err := a.createSeen(t.Context(), node, fleet.Create{Name: "web"}, "k", time.Minute); err != nil {
		t.Fatal(err)
	}
	if text := said.String(); !strings.Contains(text, "fetching image\n") || !strings.Contains(text, "building\n") {
		t.Errorf("the terminal shows %q, want the steps", text)
	}
	if len(keys) != 2 || keys[0] != keys[1] || waits[0] != "" || waits[1] == "" {
		t.Errorf("asked with the keys %q and waits %q, want the same key twice, and to wait the second time", keys, waits)
	}
}
