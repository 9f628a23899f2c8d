package api

import (
	"encoding/json"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func TestHostsAreListedByLabel(t *testing.T) {
	core := full()
	core.hosts = func() (fleet.List[fleet.Host], error) {
		return fleet.List[fleet.Host]{Coverage: fleet.Coverage{Heard: 2, Known: 3}, Items: []fleet.Host{
			{Name: "a", Labels: map[string]string{"rack": "r1", "spare": ""}}, {Name: "b", Labels: map[string]string{"rack": "r1"}}, {Name: "c"},
		}}, nil
	}
	for query, want := range map[string][]string{
		"":                                {"a", "b", "c"},
		"?label=rack%3Dr1":                {"a", "b"},
		"?label=rack%3Dr1&label=spare%3D": {"a"},
		"?label=rack%3D":                  {},
	} {
		r := do(t, core, request{method: http.MethodGet, target: "/v1/hosts" + query})
		var got fleet.List[fleet.Host]
		if err := json.Unmarshal(r.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		names := []string{}
		for _, h := range got.Items {
			names = append(names, h.Name)
		}
		if !slices.Equal(names, want) || got.Coverage.Known != 3 || got.Items == nil {
			t.Errorf("%q: %d, hosts %v of %v; want %v", query, r.Code, names, got.Coverage, want)
		}
	}
}

func TestDocumentEnumeratesTheRefusals(t *testing.T) {
	var doc struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]struct{ Enum []fleet.RefusalCode }
			}
		}
	}
	if err := json.Unmarshal(do(t, full(), good["GET /openapi.json"].request).Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fleet.RefusalCodes(), doc.Components.Schemas["Refusal"].Properties["code"].Enum); diff != "" {
		t.Errorf("codes of a refusal (-want +got):\n%s", diff)
	}
}
