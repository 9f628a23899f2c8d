package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestFlavors(t *testing.T) {
	n := newNode(t)
	n.answer("GET /v1/flavors", http.StatusOK, fleet.List[fleet.Flavor]{Items: append(fleet.BuiltinFlavors(), fleet.Flavor{Name: "own", Resources: fleet.Resources{VCPUs: 3, MemoryMiB: 1536, DiskGiB: 20}})})
	r := run(t, n.URL, "flavor", "list")
	r.wants(t, 0, "", "")
	golden(t, "flavor-list.golden", r.out)
	run(t, n.URL, "flavor", "show", "own", "-o", "json").wants(t, 0, `"memory_mib": 1536`, "")
	run(t, n.URL, "flavor", "show", "huge").wants(t, 1, "", `no flavor is called "huge"; list them with: grapevine flavor list`)
}
