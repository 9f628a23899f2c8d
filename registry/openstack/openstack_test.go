package openstack

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"grapevine/api"
)

// TestEveryRouteIsOpenToItsRolesAlone asks every route as everybody there is, and
// compares who gets past the door with testdata/routes.txt, which a person has read.
func TestEveryRouteIsOpenToItsRolesAlone(t *testing.T) {
	roles := []api.PrincipalRole{api.Nobody, "expired", api.AsAgent, api.AsRegistry, api.AsReader, api.AsMember, api.AsOperator, api.AsAdmin}
	var got strings.Builder
	for _, s := range services("RegionOne") {
		for _, route := range s.Routes {
			var in []string
			for _, role := range roles {
				w, _ := ask(t, route.Method, s.Prefix+strings.NewReplacer("{id}", "x", "{name}", "x", "{action}", "x").Replace(route.Path), string(role), "{}")
				if w.Code != http.StatusUnauthorized && w.Code != http.StatusForbidden {
					in = append(in, word(role))
				}
			}
			fmt.Fprintf(&got, "%s %s%s: %s\n", route.Method, s.Prefix, route.Path, strings.Join(in, " "))
		}
	}
	want, err := os.ReadFile("testdata/routes.txt")
	if err != nil || got.String() != string(want) {
		t.Errorf("%v; who gets in where:\n%s", err, got.String())
	}
}

func word(role api.PrincipalRole) string {
	if role == api.Nobody {
		return "nobody"
	}
	return string(role)
}

func TestAServerOfAnotherProjectIsNotThere(t *testing.T) {
	for _, role := range []string{"member", "reader"} {
		for _, request := range []string{"GET", "DELETE", "POST /action", "GET /metadata", "GET /ips"} {
			if role == "reader" && !strings.HasPrefix(request, "GET") {
				continue
			}
			method, rest, _ := strings.Cut(request, " ")
			other, said := ask(t, method, "/compute/v2.1/servers/"+redServer.ID.String()+rest, role, `{"os-stop":null}`)
			none, saidOfNone := ask(t, method, "/compute/v2.1/servers/ffffffff-ffff-ffff-ffff-ffffffffffff"+rest, role, `{"os-stop":null}`)
			same := strings.ReplaceAll(fmt.Sprint(said), redServer.ID.String(), "") == strings.ReplaceAll(fmt.Sprint(saidOfNone), "ffffffff-ffff-ffff-ffff-ffffffffffff", "")
			if other.Code != http.StatusNotFound || none.Code != other.Code || !same {
				t.Errorf("%s %s: %d %v, and of none %d %v", role, request, other.Code, said, none.Code, saidOfNone)
			}
		}
	}
	for query, want := range map[string]int{"": 1, "?all_tenants=1": 1, "?project_id=blue": 1} {
		if _, said := ask(t, "GET", "/compute/v2.1/servers"+query, "member", ""); len(said["servers"].([]any)) != want {
			t.Errorf("a member is shown %v by %q", said, query)
		}
	}
	if w, said := ask(t, "GET", "/compute/v2.1/servers?project_id=red", "member", ""); w.Code != http.StatusForbidden {
		t.Errorf("a member asks for another project: %d %v", w.Code, said)
	}
	if _, said := ask(t, "GET", "/compute/v2.1/servers?all_tenants=1", "operator", ""); len(said["servers"].([]any)) != 2 {
		t.Errorf("an operator is shown %v", said)
	}
	if _, said := ask(t, "GET", "/identity/v3/projects", "member", ""); strings.Contains(fmt.Sprint(said), "red") {
		t.Errorf("a member is told of %v", said)
	}
	if w, said := ask(t, "GET", "/identity/v3/users/rob", "reader", ""); w.Code != http.StatusNotFound {
		t.Errorf("a reader is told of another user: %d %v", w.Code, said)
	}
}

// TestFaultsAreThoseOfTheService asks each service for what it does not have, and with
// a token that is not good: 401, upon which clients log in again.
func TestFaultsAreThoseOfTheService(t *testing.T) {
	for path, keys := range map[string]string{
		"/identity/v3/users/x": "error", "/compute/v2.1/servers/x": "itemNotFound", "/image/v2/images/x": "message", "/network/v2.0/networks/x": "NeutronError",
		"/identity/x": "error", "/compute/x": "itemNotFound", "/image/x": "message", "/network/x": "NeutronError",
	} {
		w, said := ask(t, "GET", path, "admin", "")
		if w.Code != http.StatusNotFound || said[keys] == nil || !strings.HasPrefix(w.Header().Get("X-Openstack-Request-Id"), "req-") {
			t.Errorf("%s: %d %v", path, w.Code, said)
		}
	}
	if w, said := ask(t, "GET", "/compute/v2.1/servers", "expired", ""); w.Code != http.StatusUnauthorized || !strings.Contains(fmt.Sprint(said["unauthorized"]), "expired") || w.Header().Get("WWW-Authenticate") == "" {
		t.Errorf("%d %v", w.Code, said)
	}
	if w, said := ask(t, "PUT", "/compute/v2.1/flavors", "admin", ""); w.Code != http.StatusMethodNotAllowed || said["badMethod"] == nil {
		t.Errorf("%d %v", w.Code, said)
	}
	if w, said := ask(t, "GET", "/compute/v2.1/servers?reservation_id=x", "admin", ""); w.Code != http.StatusBadRequest || !strings.Contains(fmt.Sprint(said), "reservation_id") {
		t.Errorf("an unknown filter: %d %v", w.Code, said)
	}
	for _, body := range []string{`{`, `[]`, `{"server":{"name":"x"}}`, `{"server":{"name":3}}`, `{"server":{"name":"x","flavorRef":"tiny","imageRef":"nope"}}`} {
		if w, said := ask(t, "POST", "/compute/v2.1/servers", "member", body); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %v", body, w.Code, said)
		}
	}
}

// TestACreateThatNobodyTakesIsRefused tells operators what each host lacks, and
// members that none has room.
func TestACreateThatNobodyTakesIsRefused(t *testing.T) {
	_, said := ask(t, "GET", "/image/v2/images?name=tiny", "member", "")
	id := said["images"].([]any)[0].(map[string]any)["id"].(string)
	body := `{"server":{"name":"x","flavorRef":"tiny","imageRef":"` + id + `"}}`
	for role, told := range map[string]bool{"member": false, "operator": true} {
		w, said := ask(t, "POST", "/compute/v2.1/servers", role, body)
		text := fmt.Sprint(said["conflictingRequest"])
		if w.Code != http.StatusConflict || !strings.Contains(text, "no host fits") || strings.Contains(text, "7 MiB") != told {
			t.Errorf("%s: %d %v", role, w.Code, said)
		}
	}
	if w, said := ask(t, "POST", "/compute/v2.1/servers", "member", body, "Idempotency-Key", " blank "); w.Code != http.StatusBadRequest {
		t.Errorf("%d %v", w.Code, said)
	}
}

func TestMicroversionsAreNegotiated(t *testing.T) {
	for asked, want := range map[string]int{"": 200, "2.1": 200, "latest": 200, "2.9999": 406, "3.0": 406, "2.01": 400, "x": 400, "2": 400} {
		var headers []string
		if asked != "" {
			headers = []string{"OpenStack-API-Version", "compute " + asked}
		}
		w, said := ask(t, "GET", "/compute/v2.1/flavors", "reader", "", headers...)
		if w.Code != want || w.Header().Get("OpenStack-API-Version") != "compute 2.1" || !strings.Contains(strings.Join(w.Header().Values("Vary"), " "), "Openstack-Api-Version") {
			t.Errorf("%q: %d %v %v", asked, w.Code, said, w.Header())
		}
	}
	if w, _ := ask(t, "GET", "/compute/v2.1/flavors", "reader", "", "X-OpenStack-Nova-API-Version", "2.9999"); w.Code != 406 {
		t.Errorf("the older header: %d", w.Code)
	}
	if w, _ := ask(t, "GET", "/compute/v2.1/flavors", "reader", "", "OpenStack-API-Version", "volume 3.70"); w.Code != 200 {
		t.Errorf("a header for another service: %d", w.Code)
	}
}

func TestAServerThatCannotBeHeardIsUnknown(t *testing.T) {
	_, said := ask(t, "GET", "/compute/v2.1/servers/"+redServer.ID.String(), "admin", "")
	server := said["server"].(map[string]any)
	if server["status"] != "UNKNOWN" || server["OS-EXT-STS:power_state"] != 1.0 || server["OS-EXT-SRV-ATTR:host"] != "b" || server["OS-EXT-AZ:availability_zone"] != "nova" {
		t.Errorf("%v", server)
	}
	_, said = ask(t, "GET", "/compute/v2.1/servers/"+blueServer.ID.String(), "member", "")
	server = said["server"].(map[string]any)
	if server["status"] != "ACTIVE" || server["OS-EXT-SRV-ATTR:host"] != nil || server["user_id"] != "ann" || fmt.Sprint(server["metadata"]) != "map[tier:db]" || len(server["addresses"].(map[string]any)["default"].([]any)) != 2 {
		t.Errorf("%v", server)
	}
}

// TestImagesAreSortedAndPaged walks a list page by page: it has all of it, in order.
func TestImagesAreSortedAndPaged(t *testing.T) {
	for order, want := range map[string]string{"sort=name:asc": "ab c tiny", "sort=name": "tiny c ab", "sort_key=size&sort_dir=asc": "tiny c ab", "sort=size:desc,name:asc": "ab c tiny"} {
		var got []string
		path := "/v2/images?limit=1&" + order
		for path != "" {
			_, said := ask(t, "GET", "/image"+path, "reader", "")
			for _, im := range said["images"].([]any) {
				got = append(got, im.(map[string]any)["name"].(string))
			}
			path, _ = said["next"].(string)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %s", order, got, want)
		}
	}
	for _, query := range []string{"sort=colour", "sort=name:up", "limit=-1", "colour=red"} {
		if w, said := ask(t, "GET", "/image/v2/images?"+query, "reader", ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d %v", query, w.Code, said)
		}
	}
}

func TestListsAreInPages(t *testing.T) {
	_, said := ask(t, "GET", "/compute/v2.1/servers?all_tenants=1&limit=1", "admin", "")
	links := said["servers_links"].([]any)
	next := links[0].(map[string]any)["href"].(string)
	path, ok := strings.CutPrefix(next, "http://cloud.example")
	if !ok || !strings.Contains(path, "limit=1") {
		t.Fatalf("next is %s", next)
	}
	_, said = ask(t, "GET", path, "admin", "")
	if got := said["servers"].([]any); len(got) != 1 || got[0].(map[string]any)["id"] != redServer.ID.String() || said["servers_links"] != nil {
		t.Errorf("%v", said)
	}
	if _, said := ask(t, "GET", "/compute/v2.1/servers?marker=ffffffff-ffff-ffff-ffff-ffffffffffff", "admin", ""); len(said["servers"].([]any)) != 0 {
		t.Errorf("past the end: %v", said)
	}
	if _, said := ask(t, "GET", "/compute/v2.1/servers/detail?all_tenants=1&status=unknown", "admin", ""); len(said["servers"].([]any)) != 1 {
		t.Errorf("by status: %v", said)
	}
}
