package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"grapevine/fleet"
)

// shopped is a core whose one instance is of project shop.
func shopped() *fakeCore {
	core := full()
	core.instance = func(id fleet.InstanceID) (fleet.Instance, error) {
		if id != instanceID {
			return fleet.Instance{}, fleet.NoInstance(id)
		}
		return fleet.Instance{ID: id, Project: "shop"}, nil
	}
	return core
}

var ofLab = Principal{Role: AsMember, Name: "eve", Person: fleet.Person{User: "eve", Project: "lab"}, Token: fleet.UUID{5}}

func TestEveryRouteOfMembersHasAScope(t *testing.T) {
	for route := range access {
		if (admits(route, AsMember) || admits(route, AsReader)) && scopeOf(route) == 0 {
			t.Errorf("%s is open to members and has no scope", route)
		}
	}
	for route := range scopes {
		if !admits(route, AsReader) && !admits(route, AsMember) {
			t.Errorf("%s has a scope and is not open to members", route)
		}
	}
}

func TestReadersChangeNothing(t *testing.T) {
	for route := range access {
		method, _, _ := strings.Cut(route, " ")
		if admits(route, AsReader) && method != http.MethodGet && scopeOf(route) != ofSelf {
			t.Errorf("%s is open to readers", route)
		}
	}
}

func TestInstancesOfOthersAreAsIfTheyWereNotThere(t *testing.T) {
	missing := strings.Replace(instanceText, instanceText[:2], "77", 1)
	core := shopped()
	mine, theirs := as(core, alice), as(core, ofLab)
	for route, call := range good {
		if scopeOf(route) != ofInstance || !admits(route, AsMember) {
			continue
		}
		call.role = AsMember
		if r := doWith(t, mine, call.request); r.Code != call.status {
			t.Errorf("%s of one's own: %d %s", route, r.Code, r.Body)
		}
		other := problemIn(t, doWith(t, theirs, call.request))
		call.target = strings.Replace(call.target, instanceText, missing, 1)
		none := problemIn(t, doWith(t, theirs, call.request))
		if other.Code != fleet.CodeNotFound || strings.Replace(other.Detail, instanceText, missing, 1) != none.Detail || other.Status != none.Status {
			t.Errorf("%s of others: %+v\nof what is not there: %+v", route, other, none)
		}
	}
}

func TestListsAndCreatesAreOfTheOwnProject(t *testing.T) {
	var asked []string
	core := shopped()
	core.instances = func(q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
		asked = append(asked, q.Project)
		return fleet.List[fleet.Instance]{}, nil
	}
	core.create = func(c CreateInstance) (fleet.Accepted, error) {
		asked = append(asked, c.Project)
		return acceptedNow, nil
	}
	for _, tt := range []struct {
		who  Principal
		call request
		want string // the project that the core is asked about, or the code
	}{
		{alice, request{target: "/v1/instances"}, "shop"},
		{alice, request{target: "/v1/instances?project=shop"}, "shop"},
		{alice, request{target: "/v1/instances?project=lab"}, "forbidden"},
		{alice, request{target: "/v1/groups?project=lab"}, "forbidden"},
		{alice, request{target: "/v1/groups/web?project=lab"}, "forbidden"},
		{alice, request{target: "/v1/keypairs?project=lab"}, "forbidden"},
		{alice, request{method: "DELETE", target: "/v1/keypairs/alice?project=lab"}, "forbidden"},
		{alice, request{method: "POST", target: "/v1/groups", body: `{"name":"web","policy":"affinity","project":"lab"}`}, "forbidden"},
		{reader, request{method: "POST", target: "/v1/groups", body: `{"name":"web","policy":"affinity"}`}, "forbidden"},
		{alice, request{method: "POST", target: "/v1/instances", body: createBody}, "shop"},
		{alice, request{method: "POST", target: "/v1/instances", body: `{"name":"one","flavor":"tiny","image":"tiny","project":"lab"}`}, "forbidden"},
		{reader, request{method: "POST", target: "/v1/instances", body: createBody}, "forbidden"},
		{ofLab, request{method: "POST", target: "/v1/instances", body: `{"name":"one","flavor":"","image":"","source":"` + instanceText + `"}`}, "not_found"},
		{alice, request{method: "POST", target: "/v1/instances/" + instanceText + "/adopt"}, "forbidden"},
		{byCert, request{target: "/v1/instances"}, ""},
		{byCert, request{target: "/v1/instances?project=lab"}, "lab"},
		{byCert, request{method: "POST", target: "/v1/instances", body: createBody}, ""},
		{Principal{Role: AsAdmin, Person: fleet.Person{User: "root", Project: "lab"}}, request{method: "POST", target: "/v1/instances", body: createBody}, "lab"},
		{Principal{Role: AsAdmin, Person: fleet.Person{User: "root", Project: "lab"}}, request{target: "/v1/instances"}, ""},
	} {
		asked = nil
		r := doWith(t, as(core, tt.who), tt.call)
		got := strings.Join(asked, " ")
		if r.Code >= 400 {
			got = string(problemIn(t, r).Code)
		}
		if got != tt.want {
			t.Errorf("%s: %s %s %s: got %q, want %q", tt.who.Word(), tt.call.method, tt.call.target, tt.call.body, got, tt.want)
		}
	}
}

func TestMembersCreateAtRegistriesOnly(t *testing.T) {
	core := shopped()
	options := testOptions(core)
	options.People = nil
	options.Principal = func(*http.Request) Principal { return alice }
	handler := NewHandler(core, options)
	for _, route := range []string{"POST /v1/instances", "POST /v1/instances/{id}/resize", "POST /v1/instances/{id}/devices", "POST /v1/instances/{id}/devices/{name}/grow"} {
		if p := problemIn(t, doWith(t, handler, good[route].request)); p.Code != fleet.CodeMisdirected {
			t.Errorf("%s: %+v", route, p)
		}
	}
	if r := doWith(t, handler, good["POST /v1/instances/{id}/{action}"].request); r.Code != http.StatusAccepted {
		t.Errorf("an action: %d %s", r.Code, r.Body)
	}
	card := request{method: "POST", target: "/v1/instances/" + instanceText + "/devices", body: `{"kind":"nic","network":"lan"}`}
	if r := doWith(t, handler, card); r.Code != http.StatusAccepted {
		t.Errorf("a network card, which no quota counts: %d %s", r.Code, r.Body)
	}
}

func TestMembersSeeOfHostsWhatThereIsToChooseFrom(t *testing.T) {
	core := shopped()
	host := fleet.Host{
		ID: hostID, Name: "alpha", Zone: "north", Traits: []string{"uefi"}, Networks: []string{"lan"}, Images: []string{"secret"}, API: "secret:7947", Hardware: "secret", AgentVersion: "secret",
		Instances: 12345, Capacity: fleet.NewCapacity(fleet.Resources{VCPUs: 12345}, fleet.Resources{}, fleet.Resources{}),
	}
	core.hosts = func() (fleet.List[fleet.Host], error) {
		return fleet.List[fleet.Host]{Items: []fleet.Host{host}}, nil
	}
	core.host = func(fleet.HostID) (fleet.Host, error) { return host, nil }
	for _, target := range []string{"/v1/hosts", "/v1/hosts/" + hostText} {
		r := doWith(t, as(core, reader), request{target: target})
		if r.Code != 200 || strings.Contains(r.Body.String(), "secret") || strings.Contains(r.Body.String(), "12345") || !strings.Contains(r.Body.String(), `"lan"`) {
			t.Errorf("%s: %d %s", target, r.Code, r.Body)
		}
		if r := doWith(t, as(core, byCert), request{target: target}); !strings.Contains(r.Body.String(), "secret:7947") {
			t.Errorf("%s as an operator: %s", target, r.Body)
		}
	}
	core.create = func(CreateInstance) (fleet.Accepted, error) {
		return fleet.Accepted{}, &fleet.Error{Code: fleet.CodeRefused, Detail: "no host takes it. alpha: 12345 free", Host: &host, Verdicts: []fleet.Verdict{{HostName: "alpha"}}}
	}
	for _, body := range []string{createBody, strings.Replace(createBody, "{", `{"count":2,`, 1)} {
		r := doWith(t, as(core, alice), request{method: "POST", target: "/v1/instances", body: body})
		if p := problemIn(t, r); p.Code != fleet.CodeRefused || strings.Contains(r.Body.String(), "alpha") || !strings.Contains(p.Detail, "no host takes it") {
			t.Errorf("%s: %s", body, r.Body)
		}
	}
}

func TestOperationsOfOthersAreNotShown(t *testing.T) {
	core := shopped()
	core.operation = func(id string) (fleet.Operation, error) { return fleet.Operation{ID: id, Instance: instanceID}, nil }
	call := good["GET /v1/operations/{id}"].request
	if r := doWith(t, as(core, alice), call); r.Code != 200 {
		t.Errorf("one's own: %d %s", r.Code, r.Body)
	}
	if p := problemIn(t, doWith(t, as(core, ofLab), call)); p.Code != fleet.CodeNotFound {
		t.Errorf("of others: %+v", p)
	}
}

func TestOneUserAsksSoOften(t *testing.T) {
	core := shopped()
	options := testOptions(core)
	options.PerSecond = func() int { return 1 }
	who := alice
	options.Principal = func(*http.Request) Principal { return who }
	handler := NewHandler(core, options)
	var codes []int
	for range 6 {
		r := doWith(t, handler, request{target: "/v1/flavors"})
		if codes = append(codes, r.Code); r.Code == http.StatusTooManyRequests && r.Header().Get("Retry-After") == "" {
			t.Error("it is not said when to come again")
		}
	}
	if codes[0] != 200 || codes[1] != 200 || !slices.Contains(codes, http.StatusTooManyRequests) {
		t.Errorf("answers %v", codes)
	}
	who = byCert
	for range 6 {
		if r := doWith(t, handler, request{target: "/v1/flavors"}); r.Code != 200 {
			t.Errorf("a certificate: %d", r.Code)
		}
	}
}
