package api

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

const (
	createBody   = `{"name":"one","flavor":"tiny","image":"tiny"}`
	proposalBody = `{"id":"` + instanceText + `","name":"one","project":"default","flavor":"tiny","vcpus":1,"memory_mib":512,"disk_gib":0,` +
		`"image":"` + hashText + `","request_hash":"` + hashText + `","attempt":1}`
	manifestBody = `{"id":"` + hashText + `","name":"d","files":[{"role":"disk","sha256":"` + hashText + `","bytes":10,"format":"raw"}],"bytes":10,"created_at":"0001-01-01T00:00:00Z"}`
	moveBody     = `{"id":"` + hostText + `.4","source":"` + hostText + `","to":"` + instanceText + `","generation":2,"mark":{"id":"x"},"request":{"id":"` + instanceText +
		`","name":"one","project":"default","flavor":"tiny","vcpus":1,"memory_mib":512,"disk_gib":0,"image":"` + hashText + `"}}`
	keyBody = `{"record":{"instance":"` + instanceText + `","request_hash":"` + hashText + `","host":"` + hostText + `","attempt":1},"if_attempt":0}`
)

// recordBody is what one agent sends another to hold.
var recordBody = func() string {
	body, _ := json.Marshal(recordNow)
	return string(body)
}()

const (
	setBody = `{"number":1,"members":["00000000-0000-4000-8000-000000000001","00000000-0000-4000-8000-000000000002","00000000-0000-4000-8000-000000000003","00000000-0000-4000-8000-000000000004","00000000-0000-4000-8000-000000000005"]}`
	// A grant without a hash, as of a name.
	grantBody = `{"number":1,"key":"` + instanceText + `","ballot":{"round":3,"asker":"` + hostText + `"},"grant":{"kind":"name","instance":"` + instanceText + `","request_hash":"","host":"` + hostText + `","attempt":1,"token":"` + hostText + `"}}`
)

// good is a request that succeeds, for each route but the upload's.
var good = map[string]struct {
	request
	status int
	want   string // part of the answer
}{
	"GET /healthz":                                    {request{method: "GET", target: "/healthz"}, 200, `"ok"`},
	"GET /readyz":                                     {request{method: "GET", target: "/readyz"}, 200, `"ok"`},
	"GET /version":                                    {request{method: "GET", target: "/version"}, 200, `{"version":"1.2.3"}`},
	"GET /openapi.json":                               {request{method: "GET", target: "/openapi.json"}, 200, `"openapi":"3.1`},
	"GET /metrics":                                    {request{method: "GET", target: "/metrics"}, 200, "grapevine_up 1"},
	"POST /v1/tokens":                                 {request{method: "POST", target: "/v1/tokens", body: `{"user":"alice","password":"correct horse"}`}, 201, `"role":"member"`},
	"DELETE /v1/tokens/{id}":                          {request{method: "DELETE", target: "/v1/tokens/" + instanceText}, 200, `"kind":"revoke-token"`},
	"DELETE /v1/users/{name}/tokens":                  {request{method: "DELETE", target: "/v1/users/alice/tokens"}, 200, `"kind":"revoke-user"`},
	"GET /v1/login":                                   {request{target: "/v1/login"}, 200, `"oidc":{"issuer":"https://id.example.org","client_id":"grapevine","scopes":[]}`},
	"GET /v1/users":                                   {request{target: "/v1/users", role: AsAdmin}, 200, `"projects":["shop"]`},
	"GET /v1/projects":                                {request{target: "/v1/projects"}, 200, `"name":"lab"`},
	"GET /v1/hosts":                                   {request{method: "GET", target: "/v1/hosts"}, 200, `"coverage":{"heard":1,"known":2}`},
	"GET /v1/hosts/{id}":                              {request{method: "GET", target: "/v1/hosts/" + hostText}, 200, `"traits":[],"images":[]`},
	"GET /v1/hosts/{id}/hardware":                     {request{method: "GET", target: "/v1/hosts/" + hostText + "/hardware"}, 200, `"cpu":{"model":"EPYC"`},
	"GET /v1/verify":                                  {request{method: "GET", target: "/v1/verify"}, 200, `"items":[],"coverage":{"heard":1,"known":2}`},
	"GET /v1/hosts/{id}/verify":                       {request{method: "GET", target: "/v1/hosts/" + hostText + "/verify"}, 200, `"type":"ghost"`},
	"GET /v1/hosts/{id}/audit":                        {request{target: "/v1/hosts/" + hostText + "/audit?after=0&limit=3&who=alice&subject=" + instanceText + "&since=2026-01-02T03:04:05Z"}, 200, `"number":4`},
	"GET /v1/hosts/{id}/audit/heads":                  {request{target: "/v1/hosts/" + hostText + "/audit/heads?local=true"}, 200, `"items":[],"nodes":{"heard":0,"known":3}`},
	"GET /v1/hosts/{id}/drain":                        {request{method: "GET", target: "/v1/hosts/" + hostText + "/drain?mode=stop&deadline_ms=10&force=true"}, 200, `"machines":[]`},
	"POST /v1/hosts/{id}/drain":                       {request{method: "POST", target: "/v1/hosts/" + hostText + "/drain", body: `{"mode":"stop","force":true}`}, 202, `"phase":"draining"`},
	"POST /v1/hosts/{id}/undrain":                     {request{method: "POST", target: "/v1/hosts/" + hostText + "/undrain"}, 202, `"phase":"restoring"`},
	"POST /v1/hosts/{id}/{action}":                    {request{method: "POST", target: "/v1/hosts/" + hostText + "/cordon"}, 200, `"state":"cordoned"`},
	"POST /v1/instances/{id}/autostart":               {request{method: "POST", target: "/v1/instances/" + instanceText + "/autostart", body: `{"autostart":"never","start_order":3}`}, 202, `"start_order":3`},
	"POST /v1/hosts/{id}/release":                     {request{method: "POST", target: "/v1/hosts/" + hostText + "/release", body: `{"reason":"compared by hand"}`}, 200, `"state":"ok"`},
	"POST /v1/hosts/{id}/declare-dead":                {request{method: "POST", target: "/v1/hosts/" + hostText + "/declare-dead", body: `{"reason":"burnt"}`}, 200, `"holders":[]`},
	"POST /v1/hosts/{id}/forget":                      {request{method: "POST", target: "/v1/hosts/" + hostText + "/forget", body: `{"reason":"sold"}`}, 200, `"kind":"forget"`},
	"POST /v1/hosts/{id}/revoke":                      {request{method: "POST", target: "/v1/hosts/" + hostText + "/revoke", body: `{"reason":"stolen"}`}, 200, `"holders":[]`},
	"GET /v1/trust":                                   {request{method: "GET", target: "/v1/trust?local=true"}, 200, `"trusts":[]`},
	"POST /v1/trust":                                  {request{method: "POST", target: "/v1/trust", body: `{"trust":"list","reason":"old"}`}, 200, `"holders":[]`},
	"POST /v1/instances/{id}/delete-intent":           {request{method: "POST", target: "/v1/instances/" + instanceText + "/delete-intent", body: `{"reason":"old"}`}, 200, `"holders":[]`},
	"GET /v1/records":                                 {request{method: "GET", target: "/v1/records?limit=1"}, 200, `"standing":"stands","holders":[]`},
	"GET /v1/groups":                                  {request{target: "/v1/groups?project=shop"}, 200, `"items":[]`},
	"POST /v1/groups":                                 {request{method: "POST", target: "/v1/groups", body: `{"name":"web","policy":"affinity"}`}, 201, `"policy":"affinity"`},
	"GET /v1/groups/{id}":                             {request{target: "/v1/groups/a%20web%3F?project=shop"}, 200, `"host_name":"node-1"`},
	"DELETE /v1/groups/{id}":                          {request{method: "DELETE", target: "/v1/groups/web"}, 200, `"kind":"end-group"`},
	"GET /v1/keypairs":                                {request{target: "/v1/keypairs?limit=3"}, 200, `"items":[]`},
	"POST /v1/keypairs":                               {request{method: "POST", target: "/v1/keypairs", body: `{"name":"alice","public_key":"` + keyNow + `"}`}, 201, `"name":"alice"`},
	"GET /v1/keypairs/{id}":                           {request{target: "/v1/keypairs/alice"}, 200, `"fingerprint":"SHA256:x"`},
	"DELETE /v1/keypairs/{id}":                        {request{method: "DELETE", target: "/v1/keypairs/alice"}, 200, `"kind":"end-key-pair"`},
	"PUT /v1/records/{id}":                            {request{method: "PUT", target: "/v1/records/" + recordNow.ID.String(), role: AsAgent, body: recordBody}, 200, `"why":"burnt"`},
	"GET /v1/instances":                               {request{method: "GET", target: "/v1/instances"}, 200, `"labels":{}`},
	"POST /v1/instances":                              {request{method: "POST", target: "/v1/instances", body: createBody}, 202, `"operation":"` + hostText + `.4"`},
	"GET /v1/instances/{id}":                          {request{method: "GET", target: "/v1/instances/" + instanceText}, 200, `"addresses":[]`},
	"DELETE /v1/instances/{id}":                       {request{method: "DELETE", target: "/v1/instances/" + instanceText}, 202, `"version":"` + hostText + `:3:7"`},
	"POST /v1/instances/{id}/{action}":                {request{method: "POST", target: "/v1/instances/" + instanceText + "/stop?force=true"}, 202, `"task":"building"`},
	"GET /v1/instances/{id}/log":                      {request{method: "GET", target: "/v1/instances/" + instanceText + "/log?offset=3"}, 200, "hello\n"},
	"POST /v1/instances/{id}/resize":                  {request{method: "POST", target: "/v1/instances/" + instanceText + "/resize", body: `{"flavor":"small"}`}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/export":                  {request{method: "POST", target: "/v1/instances/" + instanceText + "/export"}, 202, `"operation":"` + hostText + `.4"`},
	"GET /v1/instances/{id}/export":                   {request{target: "/v1/instances/" + instanceText + "/export"}, 200, `"bytes":10`},
	"GET /v1/instances/{id}/export/file":              {request{target: "/v1/instances/" + instanceText + "/export/file"}, 200, "0123456789"},
	"DELETE /v1/instances/{id}/export":                {request{method: "DELETE", target: "/v1/instances/" + instanceText + "/export"}, 200, `"instance":"` + instanceText},
	"POST /v1/instances/{id}/capture":                 {request{method: "POST", target: "/v1/instances/" + instanceText + "/capture", body: `{"image_name":"golden"}`}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/rescue":                  {request{method: "POST", target: "/v1/instances/" + instanceText + "/rescue", body: `{"image":"tiny"}`}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/unrescue":                {request{method: "POST", target: "/v1/instances/" + instanceText + "/unrescue"}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/rebuild":                 {request{method: "POST", target: "/v1/instances/" + instanceText + "/rebuild", body: `{"image":"tiny","hostname":"web"}`}, 202, `"operation":"` + hostText + `.4"`},
	"PUT /v1/withdrawals/{id}":                        {request{method: "PUT", target: "/v1/withdrawals/" + instanceText, role: AsRegistry, body: `{"attempt":2,"surely":true}`}, 200, `"refused":true`},
	"POST /v1/instances/{id}/migrate":                 {request{method: "POST", target: "/v1/instances/" + instanceText + "/migrate", body: `{"host":"beta"}`}, 202, `"operation":"` + hostText + `.4"`},
	"PUT /v1/moves/{id}":                              {request{method: "PUT", target: "/v1/moves/" + hostText + ".4", role: AsAgent, body: moveBody}, 200, `{"state":"coming","detail":"one by agent"}`},
	"GET /v1/moves/{id}":                              {request{target: "/v1/moves/" + hostText + ".4", role: AsAgent}, 200, `{"state":"given","detail":"` + hostText + `.4"}`},
	"PUT /v1/sizes/{id}":                              {request{method: "PUT", target: "/v1/sizes/" + instanceText, role: AsRegistry, body: `{"flavor":"small","vcpus":1,"memory_mib":64,"disk_gib":0}`}, 202, `"operation"`},
	"GET /v1/instances/{id}/snapshots":                {request{method: "GET", target: "/v1/instances/" + instanceText + "/snapshots"}, 200, `"items":[]`},
	"GET /v1/instances/{id}/devices":                  {request{method: "GET", target: "/v1/instances/" + instanceText + "/devices"}, 200, `"items":[]`},
	"GET /v1/instances/{id}/usage":                    {request{method: "GET", target: "/v1/instances/" + instanceText + "/usage"}, 200, `"cpu_seconds":2.5`},
	"POST /v1/instances/{id}/snapshots":               {request{method: "POST", target: "/v1/instances/" + instanceText + "/snapshots", body: `{"name":"clean"}`}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/devices":                 {request{method: "POST", target: "/v1/instances/" + instanceText + "/devices", body: `{"kind":"disk","size_gib":2}`}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/snapshots/{name}/revert": {request{method: "POST", target: "/v1/instances/" + instanceText + "/snapshots/a%20b/revert"}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/devices/{name}/grow":     {request{method: "POST", target: "/v1/instances/" + instanceText + "/devices/disk-1/grow", body: `{"size_gib":3}`}, 202, `"operation":"` + hostText + `.4"`},
	"DELETE /v1/instances/{id}/snapshots/{name}":      {request{method: "DELETE", target: "/v1/instances/" + instanceText + "/snapshots/clean"}, 202, `"operation":"` + hostText + `.4"`},
	"DELETE /v1/instances/{id}/devices/{name}":        {request{method: "DELETE", target: "/v1/instances/" + instanceText + "/devices/disk-1"}, 202, `"operation":"` + hostText + `.4"`},
	"POST /v1/instances/{id}/console":                 {request{method: "POST", target: "/v1/instances/" + instanceText + "/console", body: `{"kind":"vnc"}`}, 200, `"kind":"vnc"`},
	"GET /v1/images":                                  {request{method: "GET", target: "/v1/images"}, 200, `"items":[]`},
	"GET /v1/images/{id}":                             {request{method: "GET", target: "/v1/images/" + hashText}, 200, `"files":[]`},
	"GET /v1/images/{id}/files/{role}":                {request{method: "GET", target: "/v1/images/" + hashText + "/files/disk", role: AsAgent}, 200, contentNow},
	"DELETE /v1/images/{id}":                          {request{method: "DELETE", target: "/v1/images/" + hashText + "?host=" + hostText}, 200, `"removed":["` + hostText + `"],"kept":[]`},
	"POST /v1/images/import":                          {request{method: "POST", target: "/v1/images/import?host=" + hostText, body: `{"name":"a","url":"https://example.org/a.qcow2"}`}, 202, `"verb":"import-image"`},
	"POST /v1/images/{id}/upload":                     {request{method: "POST", target: "/v1/images/" + hashText + "/upload?host=" + hostText, body: manifestBody}, 200, `"total_bytes":10`},
	"GET /v1/images/{id}/upload":                      {request{method: "GET", target: "/v1/images/" + hashText + "/upload?host=" + hostText}, 200, `"total_bytes":10`},
	"HEAD /v1/images/{id}/upload":                     {request{method: "HEAD", target: "/v1/images/" + hashText + "/upload?host=" + hostText}, 200, ""},
	"PATCH /v1/images/{id}/upload":                    {request{method: "PATCH", target: "/v1/images/" + hashText + "/upload?host=" + hostText, body: contentNow, header: partHeader("?1", "0")}, 200, `"stored":{"id":"` + hashText},
	"GET /v1/flavors":                                 {request{method: "GET", target: "/v1/flavors"}, 200, `"name":"nano","vcpus":1`},
	"GET /v1/operations/{id}":                         {request{method: "GET", target: "/v1/operations/" + hostText + ".4"}, 200, `"host":"` + hostText},
	"POST /v1/placements":                             {request{method: "POST", target: "/v1/placements", body: createBody}, 200, `"verdicts":[]`},
	"GET /v1/mesh/members":                            {request{method: "GET", target: "/v1/mesh/members"}, 200, `"items":[]`},
	"GET /v1/mesh/links":                              {request{method: "GET", target: "/v1/mesh/links"}, 200, `"items":[]`},
	"GET /v1/mesh/digest":                             {request{method: "GET", target: "/v1/mesh/digest"}, 200, `"items":[]`},
	"GET /v1/mesh/lag":                                {request{method: "GET", target: "/v1/mesh/lag"}, 200, `"items":[]`},
	"GET /v1/mesh/watch":                              {request{method: "GET", target: "/v1/mesh/watch?host=alpha"}, 200, "event: change\ndata: {\"host\":\"" + hostText},
	"GET /v1/mesh/trace":                              {request{method: "GET", target: "/v1/mesh/trace?instance=" + instanceText + "&local=true"}, 200, `"items":[]`},
	"GET /v1/mesh/diff":                               {request{method: "GET", target: "/v1/mesh/diff?a=alpha"}, 200, `"items":[]`},
	"GET /v1/mesh/rtt":                                {request{method: "GET", target: "/v1/mesh/rtt?a=alpha&b=beta"}, 200, `"to_name":"beta","rtt_ms":0.5`},
	"GET /v1/mesh/ping":                               {request{method: "GET", target: "/v1/mesh/ping?to=beta"}, 200, `"measured":true`},
	"GET /v1/mesh/keys":                               {request{method: "GET", target: "/v1/mesh/keys"}, 200, `"items":[],"members":2,"answered":2,"errors":[]`},
	"POST /v1/mesh/keys":                              {request{method: "POST", target: "/v1/mesh/keys", body: `{"action":"use","key":"aabbccddeeff"}`}, 200, `"changed":"aabbccddeeff"`},
	"POST /v1/mesh/leave":                             {request{method: "POST", target: "/v1/mesh/leave"}, 202, `"status":"left"`},
	"POST /v1/join-tokens":                            {request{method: "POST", target: "/v1/join-tokens", body: `{"ttl_s":60}`}, 201, `"token":"gvj1.by operator tester"`},
	"GET /v1/join-tokens":                             {request{method: "GET", target: "/v1/join-tokens", role: AsOperator}, 200, `"items":[]`},
	"DELETE /v1/join-tokens/{id}":                     {request{method: "DELETE", target: "/v1/join-tokens/0123"}, 200, `"id":"0123"`},
	"GET /v1/join":                                    {request{method: "GET", target: "/v1/join"}, 200, `"fleet":"home"`},
	"POST /v1/join":                                   {request{method: "POST", target: "/v1/join", body: `{"token":"0123","secret":"s","csr":"c"}`}, 200, `"role":"agent"`},
	"POST /v1/certificates":                           {request{method: "POST", target: "/v1/certificates", role: AsAgent, body: `{"csr":"c"}`}, 201, `"role":"agent"`},
	"GET /v1/witnesses":                               {request{method: "GET", target: "/v1/witnesses"}, 200, `"waiting":[]`},
	"POST /v1/witnesses":                              {request{method: "POST", target: "/v1/witnesses", body: `{"old":"alpha","new":"beta"}`}, 200, `"number":2`},
	"GET /v1/witness":                                 {request{method: "GET", target: "/v1/witness", role: AsAgent}, 200, `"follows":1`},
	"PUT /v1/witness":                                 {request{method: "PUT", target: "/v1/witness", role: AsRegistry, body: `{"set":` + setBody + `}`}, 200, `"number":1`},
	"GET /v1/grants":                                  {request{method: "GET", target: "/v1/grants?after=" + instanceText, role: AsAgent}, 200, `"entries":[]`},
	"PUT /v1/grants/{key}":                            {request{method: "PUT", target: "/v1/grants/" + instanceText, role: AsAgent, body: grantBody}, 200, `"promised":{"round":3`},
	"GET /v1/keys/{id}":                               {request{method: "GET", target: "/v1/keys/" + instanceText, role: AsAgent}, 200, `"attempt":1`},
	"PUT /v1/keys/{id}":                               {request{method: "PUT", target: "/v1/keys/" + instanceText, role: AsAgent, body: keyBody}, 200, `"stored":true`},
	"PUT /v1/claims/{id}":                             {request{method: "PUT", target: "/v1/claims/" + instanceText, role: AsRegistry, body: proposalBody}, 202, `"operation"`},
}

func TestEveryRouteAnswers(t *testing.T) {
	core := full()
	handler := NewHandler(core, testOptions(core))
	for route := range access {
		if route == "POST /v1/images" || route == consoleRoute {
			continue // see TestUpload... and TestConsole...
		}
		t.Run(route, func(t *testing.T) {
			call, ok := good[route]
			if !ok {
				t.Fatal("no request for this route; add one to the table")
			}
			r := doWith(t, handler, call.request)
			if r.Code != call.status || !strings.Contains(r.Body.String(), call.want) {
				t.Errorf("got %d %s\nwant %d with %s", r.Code, r.Body, call.status, call.want)
			}
			if call.status == http.StatusAccepted && route != "POST /v1/mesh/leave" && route != "POST /v1/images/import" && r.Header().Get("Grapevine-Version") != versionNow.String() {
				t.Errorf("Grapevine-Version %q, want %s", r.Header().Get("Grapevine-Version"), versionNow)
			}
		})
	}
}

func TestAccessTableIsKeptOnEveryRoute(t *testing.T) {
	for _, role := range anyone {
		core := full()
		options := testOptions(core)
		options.Principal = func(*http.Request) Principal {
			return Principal{Role: role, Person: fleet.Person{User: "alice", Project: "shop"}, Token: instanceID}
		}
		handler := NewHandler(core, options)
		for route, roles := range access {
			method, path, _ := strings.Cut(route, " ")
			target := strings.NewReplacer("{id}", instanceText, "{action}", "stop", "{name}", "alice").Replace(path)
			r := doWith(t, handler, request{method: method, target: target})
			refused := r.Code == http.StatusUnauthorized || r.Code == http.StatusForbidden
			if allowed := slices.Contains(roles, role); refused == allowed {
				t.Errorf("%s as %q: status %d, allowed %v", route, role, r.Code, allowed)
			}
			if refused {
				want := fleet.CodeForbidden
				if role == Nobody {
					want = fleet.CodeUnauthenticated
				}
				if p := problemIn(t, r); p.Code != want {
					t.Errorf("%s as %q: code %s, want %s", route, role, p.Code, want)
				}
			}
		}
	}
}

func TestOnlyHealthAndDescriptionAreOpenToNobody(t *testing.T) {
	var got []string
	for route := range access {
		if admits(route, Nobody) {
			got = append(got, route)
		}
	}
	slices.Sort(got)
	want := []string{"GET /healthz", "GET /openapi.json", "GET /readyz", "GET /v1/join", "GET /v1/login", "GET /version", "POST /v1/join", "POST /v1/tokens"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestOnlyRegistriesAndOperatorsMutate(t *testing.T) {
	for route := range access {
		method, path, _ := strings.Cut(route, " ")
		reads := method == http.MethodGet || method == http.MethodHead || path == "/v1/placements" || path == "/v1/tokens"
		if !reads && !slices.ContainsFunc([]string{"/v1/keys", "/v1/records", "/v1/grants", "/v1/witness", "/v1/moves", "/v1/join", "/v1/certificates"}, func(to string) bool { return path == to || strings.HasPrefix(path, to+"/") }) && admits(route, AsAgent) {
			t.Errorf("%s is open to agents", route)
		}
	}
}

func TestServedRoutesAreThoseOfTheAccessTable(t *testing.T) {
	var got []string
	for _, route := range newServer(full(), testOptions(full())).engine.Routes() {
		got = append(got, route.Method+" "+route.Path)
	}
	var want []string
	for route := range access {
		want = append(want, ginPath(route))
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRegistryServesNoNodeRoutes(t *testing.T) {
	core := full()
	options := testOptions(core)
	options.Node, options.People = nil, nil
	handler := NewHandler(core, options)
	for _, route := range []string{"GET /v1/keys/{id}", "PUT /v1/claims/{id}"} {
		if p := problemIn(t, doWith(t, handler, good[route].request)); p.Code != fleet.CodeNotFound {
			t.Errorf("%s: %+v, want not_found", route, p)
		}
	}
}

// openAPI is the part of the document that tests look at.
type openAPI struct {
	Paths map[string]map[string]struct {
		OperationID string         `json:"operationId"`
		RequestBody map[string]any `json:"requestBody"`
		Responses   map[string]struct {
			Content map[string]struct {
				Schema map[string]any `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	} `json:"paths"`
	Components struct {
		Schemas map[string]struct {
			Properties map[string]map[string]any `json:"properties"`
			Required   []string                  `json:"required"`
		} `json:"schemas"`
	} `json:"components"`
}

func readOpenAPI(t *testing.T) openAPI {
	t.Helper()
	r := do(t, full(), good["GET /openapi.json"].request)
	var doc openAPI
	if err := json.Unmarshal(r.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return doc
}

func TestOpenAPIListsEveryRouteWithItsErrors(t *testing.T) {
	doc := readOpenAPI(t)
	var got []string
	for path, operations := range doc.Paths {
		for method, operation := range operations {
			name := strings.ToUpper(method) + " " + path
			got = append(got, name)
			schema := operation.Responses["default"].Content[problemType].Schema
			if schema["$ref"] != "#/components/schemas/Problem" {
				t.Errorf("%s documents its errors as %v", name, schema)
			}
		}
	}
	want := slices.DeleteFunc(slices.Collect(maps.Keys(access)), func(s string) bool { return s == "GET /openapi.json" })
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if doc.Paths["/v1/images"]["post"].RequestBody == nil {
		t.Error("the upload's body is not documented")
	}
}

func TestOpenAPIWritesIdsAndVersionsAsStrings(t *testing.T) {
	schemas := readOpenAPI(t).Components.Schemas
	for _, tt := range []struct{ schema, property, key, want string }{
		{"Instance", "id", "format", "uuid"},
		{"Instance", "host", "type", "string"},
		{"Instance", "version", "type", "string"},
		{"Instance", "addresses", "type", "array"},
		{"Instance", "created_at", "format", "date-time"},
		{"Problem", "instance", "format", "uuid"},
		{"Explanation", "chosen", "format", "uuid"},
		{"ListInstance", "items", "type", "array"},
		{"Proposal", "vcpus", "type", "integer"},
	} {
		if got := schemas[tt.schema].Properties[tt.property][tt.key]; got != tt.want {
			t.Errorf("%s.%s: %s is %v, want %s", tt.schema, tt.property, tt.key, got, tt.want)
		}
	}
	if diff := cmp.Diff([]string{"flavor", "image", "name"}, slices.Sorted(slices.Values(schemas["Create"].Required))); diff != "" {
		t.Errorf("required of Create: %s", diff)
	}
	if slices.Contains(schemas["Proposal"].Required, "host") {
		t.Error("a proposal for any host is required to name one")
	}
	if _, there := schemas["ErrorModel"]; there {
		t.Error("an error shape that is never sent is documented")
	}
}
