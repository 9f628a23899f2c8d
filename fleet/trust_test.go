package fleet_test

import (
	"strings"
	"testing"

	"grapevine/fleet"
)

func TestNodesThatWouldBeCutOffHinderAChangeOfRoots(t *testing.T) {
	both := []string{"old", "new"}
	node := func(change func(*fleet.TrustNode)) fleet.TrustNode {
		n := fleet.TrustNode{Name: "n", Role: fleet.RoleAgent, Trusts: both, Root: "new"}
		change(&n)
		return n
	}
	for name, c := range map[string]struct {
		node fleet.TrustNode
		next []string // of a fleet that trusts old and new
		want string   // empty: it hinders nothing
	}{
		"ready":                                   {node(func(*fleet.TrustNode) {}), []string{"new"}, ""},
		"of the old root":                         {node(func(n *fleet.TrustNode) { n.Root = "old" }), []string{"new"}, "has a certificate of root old"},
		"of the old root, turning":                {node(func(n *fleet.TrustNode) { n.Root = "old" }), []string{"new", "old"}, ""},
		"knows the old root, turning":             {node(func(n *fleet.TrustNode) { n.Root, n.Trusts = "old", []string{"old"} }), []string{"new", "old"}, "does not trust root new yet"},
		"issues by the old root":                  {node(func(n *fleet.TrustNode) { n.IssuerRoot = "old" }), []string{"new"}, "issues by a CA of root old"},
		"issues by the new root":                  {node(func(n *fleet.TrustNode) { n.IssuerRoot = "new" }), []string{"new"}, ""},
		"off, of the old root":                    {node(func(n *fleet.TrustNode) { n.Root, n.Error = "old", "off" }), []string{"new"}, "cannot be asked"},
		"off, of which nothing is known":          {node(func(n *fleet.TrustNode) { n.Root, n.Error = "", "off" }), []string{"new"}, "cannot be asked"},
		"off, of which nothing is known, turning": {node(func(n *fleet.TrustNode) { n.Root, n.Error = "", "off" }), []string{"new", "old"}, ""},
		"off, of the new root":                    {node(func(n *fleet.TrustNode) { n.Error = "off" }), []string{"new"}, ""},
		"given up":                                {node(func(n *fleet.TrustNode) { n.Root, n.Error, n.GivenUp = "old", "off", "declared dead" }), []string{"new"}, ""},
		"of the new root, undoing":                {node(func(*fleet.TrustNode) {}), []string{"old"}, "has a certificate of root new"},
		"a third root comes":                      {node(func(n *fleet.TrustNode) { n.Root = "old" }), []string{"old", "new", "third"}, ""},
	} {
		report := fleet.TrustReport{Roots: []fleet.TrustRoot{{Name: "old"}, {Name: "new"}}, Nodes: []fleet.TrustNode{c.node}}
		got := report.Hinders(c.next)
		if (c.want == "") != (len(got) == 0) || len(got) > 0 && !strings.Contains(got[0], c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}
