package proofs

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// TestProof03AgentKilledAtEveryStep kills the agent once at each point that each
// operation comes by, and looks at what came of it. `make test` takes a part of
// the points.
func TestProof03AgentKilledAtEveryStep(t *testing.T) {
	const seed = 3
	part := float64(long(100, 25)) / 100
	all, points, kills := 0, 0, 0
	var names []string
	for i, op := range slices.Concat(operations, hostOperations) {
		t.Run(op.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				passed, k := cutEverywhere(t, &op, part, rand.New(rand.NewPCG(seed, uint64(i))))
				t.Logf("%s: %d points, %d kills", op.name, len(passed), k)
				all++
				points, kills = points+len(passed), kills+k
				for _, p := range passed {
					names = append(names, p.what)
				}
			})
		})
	}
	t.Logf("%d operations, %d points, %d kills", len(operations)+len(hostOperations), points, kills)
	if all == len(operations)+len(hostOperations) && !t.Failed() {
		everyCallIsMade(t, names)
	}
}

// everyCallIsMade fails where a driver can change something that no operation
// does.
func everyCallIsMade(t *testing.T, points []string) {
	t.Helper()
	d := reflect.TypeFor[*simulated.Driver]()
	for m := range d.Methods() {
		name := m.Name
		if !reads[name] && name != "Close" && name != "Tell" && !slices.Contains(points, "before driver."+name) {
			t.Errorf("no operation that is cut calls %s of a driver: add one that does, or add it to reads", name)
		}
	}
}

// elsewhere are the routes that no operation above takes, and why.
var elsewhere = map[string]string{
	"POST /v1/placements":                   "reads",
	"POST /v1/instances/{id}/console":       "gives out a ticket, which is in memory",
	"POST /v1/mesh/keys":                    "changes Serf's keyring: test/e2e",
	"POST /v1/mesh/leave":                   "ends the agent",
	"POST /v1/images/import":                "TestImageIsDownloadedAcrossARestart in agent",
	"POST /v1/images/{id}/upload":           "an upload that breaks off goes on: agent/uploads",
	"PATCH /v1/images/{id}/upload":          "an upload that breaks off goes on: agent/uploads",
	"POST /v1/witnesses":                    "the model in test/witnesses loses answers and lives at every step",
	"PUT /v1/witness":                       "the model in test/witnesses",
	"PUT /v1/grants/{key}":                  "the model in test/witnesses",
	"POST /v1/join-tokens":                  "enrol/desk_test.go; one write of the journal, before the answer",
	"DELETE /v1/join-tokens/{id}":           "enrol/desk_test.go; one write of the journal, before the answer",
	"POST /v1/join":                         "uses a token up in one write before it issues: enrol/desk_test.go",
	"POST /v1/certificates":                 "issues, and keeps nothing",
	"POST /v1/trust":                        "a record: rotation_test.go",
	"POST /v1/hosts/{id}/declare-dead":      "a record, kept before it is answered: agent/records_test.go",
	"POST /v1/hosts/{id}/revoke":            "a record: revoked_test.go",
	"POST /v1/hosts/{id}/forget":            "a record: agent/records_test.go",
	"POST /v1/hosts/{id}/release":           "one write: TestQuarantineOutlivesTheAgentAndEndsByAnOperator in agent",
	"POST /v1/instances/{id}/delete-intent": "a record: Proof11 in agent, with a restart",
	"DELETE /v1/tokens/{id}":                "a record, kept before it is answered: agent/tokens_test.go",
	"DELETE /v1/users/{name}/tokens":        "a record: agent/tokens_test.go",
	"PUT /v1/records/{id}":                  "one write",
	"PUT /v1/withdrawals/{id}":              "one write, of a refusal: agent/withdraw_test.go",
	"POST /v1/groups":                       "a record, kept before it is answered: agent/objects_test.go, with a restart",
	"DELETE /v1/groups/{id}":                "a record: agent/objects_test.go",
	"POST /v1/keypairs":                     "a record: agent/objects_test.go",
	"DELETE /v1/keypairs/{id}":              "a record: agent/objects_test.go",
	"POST /v1/instances/{id}/migrate":       "both hosts are cut at every step: Proof09",
	"PUT /v1/moves/{id}":                    "both hosts are cut at every step: Proof09",
}

// TestProof03EveryRouteThatChangesSomethingIsCut fails for a new route of which
// nobody has said what a kill in its middle leaves.
func TestProof03EveryRouteThatChangesSomethingIsCut(t *testing.T) {
	cut := map[string]bool{}
	for _, op := range slices.Concat(operations, hostOperations) {
		for _, r := range op.routes {
			cut[r] = true
		}
	}
	served := map[string]bool{}
	synctest.Test(t, func(t *testing.T) {
		for _, route := range newCutWorld(t).mutations() {
			served[route] = true
			if !cut[route] && elsewhere[route] == "" {
				t.Errorf("%s is cut by no operation of this package: add one, or say why in elsewhere", route)
			}
		}
	})
	for route := range elsewhere {
		cut[route] = true
	}
	for route := range cut {
		if !served[route] {
			t.Errorf("%s is not served any more", route)
		}
	}
}

// mutations lists the routes of an agent that may change something, with each
// action by its name.
func (w *World) mutations() (routes []string) {
	w.t.Helper()
	text, err := w.Hosts[0].Client.OpenAPI(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer text.Close()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.NewDecoder(text).Decode(&doc); err != nil {
		w.t.Fatal(err)
	}
	actions := map[string][]string{"/v1/hosts/{id}/{action}": {string(fleet.Cordon), string(fleet.Uncordon)}}
	for _, a := range fleet.InstanceActions() {
		actions["/v1/instances/{id}/{action}"] = append(actions["/v1/instances/{id}/{action}"], string(a))
	}
	for path, methods := range doc.Paths {
		for method := range methods {
			method = strings.ToUpper(method)
			switch {
			case !slices.Contains([]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}, method):
			case actions[path] == nil:
				routes = append(routes, method+" "+path)
			default:
				for _, a := range actions[path] {
					routes = append(routes, method+" "+strings.Replace(path, "{action}", a, 1))
				}
			}
		}
	}
	return routes
}
