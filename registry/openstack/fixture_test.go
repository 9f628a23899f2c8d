package openstack

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"grapevine/api"
	"grapevine/fleet"
)

// fleetOfTwo is a core of two hosts and two projects, in which nothing else can be
// asked: a call of another method ends the request as a fault of the registry's own.
type fleetOfTwo struct {
	api.Core
	instances []fleet.Instance
}

var (
	hostA, hostB = fleet.HostID{1}, fleet.HostID{2}
	blueServer   = fleet.Instance{
		ID: fleet.InstanceID{0xb}, Name: "web", Project: "blue", Host: hostA, HostName: "a", Power: fleet.PowerRunning, Flavor: "tiny", Image: digest,
		Labels: map[string]string{"tier": "db", "openstack.user": "ann"}, Addresses: []string{"10.0.0.7", "fe80::1", "nonsense"},
		CreatedAt: time.Unix(1000, 0), ObservedAt: time.Unix(2000, 0), Reachability: fleet.ReachOK,
	}
	redServer = fleet.Instance{ID: fleet.InstanceID{0xe}, Name: "web", Project: "red", Host: hostB, HostName: "b", Power: fleet.PowerRunning, Reachability: fleet.ReachUnreachable}
)

var digest = strings.Repeat("ab", 32)

func (f *fleetOfTwo) Hosts(context.Context) (fleet.List[fleet.Host], error) {
	return fleet.List[fleet.Host]{Items: []fleet.Host{
		{ID: hostA, Name: "a", Zone: "north", Hypervisor: fleet.KVM, HypervisorVersion: "8.2.1", State: fleet.HostOK, Reachability: fleet.ReachOK, Networks: []string{"default"}},
		{ID: hostB, Name: "b", Hypervisor: fleet.Xen, State: fleet.HostCordoned, Reachability: fleet.ReachUnreachable},
	}}, nil
}

func (f *fleetOfTwo) Host(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	hosts, _ := f.Hosts(ctx)
	return hosts.Items[id[0]-1], nil
}

func (f *fleetOfTwo) Instance(_ context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	for _, i := range f.instances {
		if i.ID == id {
			return i, nil
		}
	}
	return fleet.Instance{}, fleet.NoInstance(id)
}

func (f *fleetOfTwo) Instances(_ context.Context, q fleet.InstanceQuery) (fleet.List[fleet.Instance], error) {
	var out fleet.List[fleet.Instance]
	for _, i := range f.instances {
		if (q.Project == "" || q.Project == i.Project) && i.ID.String() > q.Marker {
			out.Items = append(out.Items, i)
		}
	}
	return out, nil
}

func (f *fleetOfTwo) Images(context.Context) (fleet.List[fleet.Image], error) {
	var out fleet.List[fleet.Image]
	for i, name := range []string{"tiny", "c", "ab"} {
		out.Items = append(out.Items, fleet.Image{ID: strings.Repeat("ab"+string('0'+rune(i))+"f", 16), Name: name, Bytes: 5 + int64(min(i, 1)), Files: []fleet.ImageFile{{Role: fleet.RoleDisk, Format: "qcow2"}}})
	}
	return out, nil
}

func (f *fleetOfTwo) Flavors(context.Context) (fleet.List[fleet.Flavor], error) {
	return fleet.List[fleet.Flavor]{Items: fleet.BuiltinFlavors()}, nil
}

// Batch makes no server: no host has room.
func (f *fleetOfTwo) Batch() func(context.Context, api.CreateInstance) (fleet.Accepted, error) {
	return func(context.Context, api.CreateInstance) (fleet.Accepted, error) {
		return fleet.Accepted{}, &fleet.Error{Code: fleet.CodeRefused, Detail: "no host fits. a: memory, 7 MiB left", Verdicts: []fleet.Verdict{{}}}
	}
}

// bookOfTwo has two projects.
type bookOfTwo struct{ api.People }

func (bookOfTwo) Projects(context.Context) ([]fleet.Project, error) {
	return []fleet.Project{{Name: "blue"}, {Name: "red"}}, nil
}

func (bookOfTwo) Users(context.Context) ([]fleet.User, error) {
	return []fleet.User{{Name: "ann", Projects: []string{"blue"}}, {Name: "rob", Projects: []string{"red"}}}, nil
}

// caller is who asks: the token is the name of a role, and everybody is ann of blue.
func caller(r *http.Request) api.Principal {
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch role := api.PrincipalRole(token); role {
	case "":
		return api.Principal{}
	case api.AsAgent, api.AsRegistry:
		return api.Principal{Role: role, ID: fleet.UUID{9}}
	case api.AsAdmin, api.AsOperator, api.AsMember, api.AsReader:
		return api.Principal{Role: role, Person: fleet.Person{User: "ann", Project: "blue"}, Token: fleet.UUID{8}}
	default:
		return api.Principal{Refused: &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the token has expired; log in again"}}
	}
}

// mounted returns the front end over the fleet of two, by prefix.
func mounted(t *testing.T) map[string]http.Handler {
	t.Helper()
	out, err := open(func(any) error { return nil }, api.Front{
		Core: &fleetOfTwo{instances: []fleet.Instance{blueServer, redServer}}, People: bookOfTwo{}, Principal: caller,
		PerSecond: func() int { return 100_000 }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// ask sends a request, and returns its status and what it says.
func ask(t *testing.T, method, path, token, body string, headers ...string) (*httptest.ResponseRecorder, map[string]any) {
	t.Helper()
	r, w := httptest.NewRequest(method, "http://cloud.example"+path, strings.NewReader(body)), httptest.NewRecorder()
	if token != "" {
		r.Header.Set("X-Auth-Token", token)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	prefix, _, _ := strings.Cut(path[1:], "/")
	mounted(t)["/"+prefix].ServeHTTP(w, r)
	said := map[string]any{}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w, said
}
