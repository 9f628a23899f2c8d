package api

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestBadRequestsGetOneClearSentence(t *testing.T) {
	core := full()
	core.create = func(CreateInstance) (fleet.Accepted, error) {
		t.Error("the core was called")
		return acceptedNow, nil
	}
	handler := NewHandler(core, testOptions(core))
	long := strings.Repeat("x", 10<<20)
	instances := "/v1/instances"
	for _, tt := range []struct {
		name string
		request
		status int
		code   fleet.Code
		detail string // part of it
	}{
		{"unknown route", request{method: "GET", target: "/v1/nonsense"}, 404, fleet.CodeNotFound, `no route "/v1/nonsense"`},
		{"unknown method", request{method: "PATCH", target: "/v1/hosts"}, 405, fleet.CodeMethodNotAllowed, "use GET"},
		{"unknown filter", request{method: "GET", target: instances + "?colour=red"}, 400, fleet.CodeUnknownFilter, `"colour"; GET /v1/instances knows host, label, limit, marker, name, project, state`},
		{"unknown filter of hosts", request{method: "GET", target: "/v1/hosts?zone=a"}, 400, fleet.CodeUnknownFilter, `"zone"; GET /v1/hosts knows label`},
		{"host label without a value", request{method: "GET", target: "/v1/hosts?label=rack"}, 400, fleet.CodeBadRequest, "key=value"},
		{"host label twice", request{method: "GET", target: "/v1/hosts?label=rack%3Da&label=rack%3Db"}, 400, fleet.CodeBadRequest, "given twice"},
		{"filter on a route without any", request{method: "GET", target: "/v1/flavors?name=a"}, 400, fleet.CodeUnknownFilter, "knows none"},
		{"parameter twice", request{method: "GET", target: instances + "?name=a&name=b"}, 400, fleet.CodeBadRequest, "name is given 2 times"},
		{"empty parameter", request{method: "GET", target: instances + "?limit="}, 400, fleet.CodeBadRequest, "limit is empty"},
		{"query that cannot be read", request{method: "GET", target: instances + "?name=%zz"}, 400, fleet.CodeBadRequest, "percent-encode"},
		{"limit 0", request{method: "GET", target: instances + "?limit=0"}, 422, fleet.CodeInvalid, "query.limit 0: expected number >= 1"},
		{"negative limit", request{method: "GET", target: instances + "?limit=-5"}, 422, fleet.CodeInvalid, "query.limit -5"},
		{"limit too high", request{method: "GET", target: instances + "?limit=" + strconv.Itoa(fleet.MaxPage+1)}, 422, fleet.CodeInvalid, "<= 10000"},
		{"limit that is no number", request{method: "GET", target: instances + "?limit=many"}, 422, fleet.CodeInvalid, `query.limit "many": invalid integer`},
		{"unknown state", request{method: "GET", target: instances + "?state=happy"}, 422, fleet.CodeInvalid, `query.state "happy"`},
		{"label without a value", request{method: "GET", target: instances + "?label=tier"}, 400, fleet.CodeBadRequest, "key=value"},
		{"malformed id", request{method: "GET", target: instances + "/nonsense"}, 400, fleet.CodeBadRequest, `instance id "nonsense"`},
		{"malformed image id", request{method: "GET", target: "/v1/images/nonsense"}, 400, fleet.CodeBadRequest, "64"},
		{"malformed operation id", request{method: "GET", target: "/v1/operations/7"}, 400, fleet.CodeBadRequest, "host-id.number"},
		{"negative offset", request{method: "GET", target: instances + "/" + instanceText + "/log?offset=-1"}, 422, fleet.CodeInvalid, "query.offset -1"},
		{"unknown instance action", request{method: "POST", target: instances + "/" + instanceText + "/explode"}, 422, fleet.CodeInvalid, "start stop reboot"},
		{"unknown host action", request{method: "POST", target: "/v1/hosts/" + hostText + "/explode"}, 422, fleet.CodeInvalid, "cordon, uncordon"},
		{"body where none is read", request{method: "POST", target: instances + "/" + instanceText + "/stop", body: `{"force":true}`}, 400, fleet.CodeBadRequest, "takes no body; its options are query parameters: force, wait"},
		{"wait that is no duration", request{method: "DELETE", target: instances + "/" + instanceText + "?wait=30"}, 400, fleet.CodeBadRequest, "30s or 2m"},
		{"wait too long", request{method: "DELETE", target: instances + "/" + instanceText + "?wait=1h"}, 422, fleet.CodeInvalid, "at most 5m0s"},
		{"negative wait", request{method: "DELETE", target: instances + "/" + instanceText + "?wait=-1s"}, 422, fleet.CodeInvalid, "more than 0"},
		{"no body", request{method: "POST", target: instances}, 400, fleet.CodeBadRequest, "request body is required"},
		{"malformed JSON", request{method: "POST", target: instances, body: `{"name":`}, 400, fleet.CodeBadRequest, "body: it is not JSON"},
		{"two documents", request{method: "POST", target: instances, body: createBody + createBody}, 400, fleet.CodeBadRequest, "body: it is not JSON"},
		{"unknown field", request{method: "POST", target: instances, body: `{"name":"a","flavor":"b","image":"c","colour":"red"}`}, 422, fleet.CodeInvalid, "body.colour: no such field"},
		{"missing field", request{method: "POST", target: instances, body: `{"name":"a","image":"c"}`}, 422, fleet.CodeInvalid, "flavor"},
		{"wrong type", request{method: "POST", target: instances, body: `{"name":5,"flavor":"b","image":"c"}`}, 422, fleet.CodeInvalid, "body.name 5: expected string"},
		{"control character in a name", request{method: "POST", target: instances, body: `{"name":"a\u0007b","flavor":"b","image":"c"}`}, 422, fleet.CodeInvalid, "has a control character"},
		{"bytes that are not UTF-8", request{method: "POST", target: instances, body: "{\"name\":\"\xff\"}"}, 400, fleet.CodeBadRequest, "not valid UTF-8"},
		{"wrong content type", request{method: "POST", target: instances, body: createBody, header: map[string]string{"Content-Type": "text/csv"}}, 415, fleet.CodeBadRequest, "send application/json"},
		{"control character in a key", request{method: "POST", target: instances, body: createBody, header: map[string]string{"Idempotency-Key": "a\tb"}}, 422, fleet.CodeInvalid, "Idempotency-Key"},
		{"10 MiB body", request{method: "POST", target: instances, body: `{"name":"` + long + `"}`}, 413, fleet.CodeTooLarge, "longer than 1048576 bytes"},
		{"10 MiB dry run", request{method: "POST", target: "/v1/placements", body: long}, 413, fleet.CodeTooLarge, "longer than"},
		{"10 MiB where no body is read", request{method: "DELETE", target: instances + "/" + instanceText, body: long}, 400, fleet.CodeBadRequest, "takes no body"},
		{"claim of another id", request{method: "PUT", target: "/v1/claims/" + hostText, role: AsRegistry, body: proposalBody}, 422, fleet.CodeInvalid, "must be the same"},
		{"claim with negative sizes", request{method: "PUT", target: "/v1/claims/" + instanceText, role: AsRegistry, body: strings.Replace(proposalBody, `"vcpus":1`, `"vcpus":-1`, 1)}, 422, fleet.CodeInvalid, "vcpus is -1"},
		{"claim of attempt 0", request{method: "PUT", target: "/v1/claims/" + instanceText, role: AsRegistry, body: strings.Replace(proposalBody, `"attempt":1`, `"attempt":0`, 1)}, 422, fleet.CodeInvalid, "count from 1"},
		{"claim with a bad id in it", request{method: "PUT", target: "/v1/claims/" + instanceText, role: AsRegistry, body: strings.Replace(proposalBody, instanceText, "x", 1)}, 422, fleet.CodeInvalid, `body.id "x"`},
		{"key of another id", request{method: "PUT", target: "/v1/keys/" + hostText, role: AsAgent, body: keyBody}, 422, fleet.CodeInvalid, "must be the same"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := doWith(t, handler, tt.request)
			p := problemIn(t, r)
			if r.Code != tt.status || p.Code != tt.code || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %d %s %q\nwant %d %s with %q", r.Code, p.Code, p.Detail, tt.status, tt.code, tt.detail)
			}
			if len(p.Detail) > 400 || strings.ContainsAny(p.Detail, "\n\r") {
				t.Errorf("detail is not one short sentence: %.500q", p.Detail)
			}
		})
	}
}

func TestEachCodeHasItsStatus(t *testing.T) {
	want := map[fleet.Code]int{
		fleet.CodeNotFound: 404, fleet.CodeRefused: 409, fleet.CodeKeyReused: 422, fleet.CodeKeyHomeUnreachable: 503,
		fleet.CodeOutcomeUnknown: 504, fleet.CodeHostUnreachable: 409, fleet.CodeHypervisorUnreachable: 503,
		fleet.CodeUnknownFilter: 400, fleet.CodeTooLarge: 413, fleet.CodeInvalid: 422, fleet.CodeBusy: 409,
		fleet.CodeNotManaged: 409, fleet.CodeAmbiguous: 409, fleet.CodeInternal: 500, "from_the_future": 500,
	}
	core := full()
	handler := NewHandler(core, testOptions(core))
	for code, status := range want {
		core.instance = func(fleet.InstanceID) (fleet.Instance, error) {
			return fleet.Instance{}, fmt.Errorf("look: %w", &fleet.Error{Code: code, Detail: "because"})
		}
		r := doWith(t, handler, good["GET /v1/instances/{id}"].request)
		p := problemIn(t, r)
		if r.Code != status || p.Code != code || p.Detail != "because" {
			t.Errorf("%s: got %d %+v, want %d", code, r.Code, p, status)
		}
	}
}

func TestEveryCodeOfTheContractIsInTheTable(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../fleet/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Code") {
			return true
		}
		found++
		code, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if _, ok := kinds[fleet.Code(code)]; !ok {
			t.Errorf("code %q has no status", code)
		}
		return true
	})
	if found < 20 {
		t.Errorf("only %d codes found in fleet/error.go", found)
	}
}

func TestProblemCarriesAllOfTheError(t *testing.T) {
	want := fleet.Error{
		Code: fleet.CodeRefused, Detail: "no host takes it",
		Refusals: []fleet.Refusal{{Code: fleet.RefuseCapacity, Resource: "vcpus", Need: 4, Detail: "4 vCPUs asked, 0 free"}},
		Host:     &fleet.Host{ID: hostID, Labels: map[string]string{}, Traits: []string{}, Images: []string{}, Networks: []string{}},
		Verdicts: []fleet.Verdict{{Host: hostID, HostName: "alpha"}},
		Instance: instanceID, Candidates: []string{"a", "b"},
	}
	core := full()
	core.create = func(CreateInstance) (fleet.Accepted, error) { return fleet.Accepted{}, &want }
	p := problemIn(t, do(t, core, good["POST /v1/instances"].request))
	got := fleet.Error{Code: p.Code, Detail: p.Detail, Refusals: p.Refusals, Host: p.Host, Verdicts: p.Verdicts, Instance: p.Instance, Candidates: p.Candidates}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInternalErrorsAndPanicsAreLoggedAndNotTold(t *testing.T) {
	for name, fail := range map[string]func() error{
		"error": func() error { return errors.New("secret path /root") },
		"panic": func() error { panic("secret path /root") },
	} {
		t.Run(name, func(t *testing.T) {
			var logged bytes.Buffer
			core := full()
			core.instance = func(fleet.InstanceID) (fleet.Instance, error) { return fleet.Instance{}, fail() }
			options := testOptions(core)
			options.Log = slog.New(slog.NewTextHandler(&logged, nil))
			r := doWith(t, NewHandler(core, options), good["GET /v1/instances/{id}"].request)
			p := problemIn(t, r)
			if p.Code != fleet.CodeInternal || r.Code != http.StatusInternalServerError || strings.Contains(r.Body.String(), "secret") {
				t.Errorf("got %d %s", r.Code, r.Body)
			}
			if !strings.Contains(logged.String(), "secret path /root") {
				t.Errorf("the log does not say why: %s", &logged)
			}
		})
	}
}

func TestNotReadySaysWhy(t *testing.T) {
	options := testOptions(full())
	options.Ready = func() error { return errors.New("no peer has been heard yet") }
	p := problemIn(t, doWith(t, NewHandler(full(), options), good["GET /readyz"].request))
	if p.Code != fleet.CodeNotReady || p.Status != http.StatusServiceUnavailable || p.Detail != "no peer has been heard yet" {
		t.Errorf("%+v", p)
	}
}

func TestMutationsAreLoggedAtInfoAndReadsAreNot(t *testing.T) {
	var logged bytes.Buffer
	core := full()
	options := testOptions(core)
	options.Log = slog.New(slog.NewTextHandler(&logged, nil))
	handler := NewHandler(core, options)
	doWith(t, handler, good["GET /v1/hosts"].request)
	if logged.Len() != 0 {
		t.Errorf("a read was logged: %s", &logged)
	}
	doWith(t, handler, good["POST /v1/instances"].request)
	for _, want := range []string{"method=POST", "path=/v1/instances", "status=202", "role=operator", "peer_name=tester"} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("log %q lacks %s", &logged, want)
		}
	}
}
