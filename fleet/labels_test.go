package fleet_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"grapevine/fleet"
)

// A code that RefusalCodes lacks is in no document.
func TestRefusalCodesAreAllListed(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var want []fleet.RefusalCode
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Refuse") {
			return true
		}
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fleet.RefusalCode(code))
		return false
	})
	if got := fleet.RefusalCodes(); len(want) == 0 || !slices.Equal(got, want) {
		t.Errorf("RefusalCodes returns %v, and there are %v", got, want)
	}
}

func TestWishesOfAHostAreJudged(t *testing.T) {
	base := fleet.Create{Name: "vm", Flavor: "nano", Image: "tiny"}
	clone := fleet.Create{Name: "vm", Source: fleet.UUID{1}.String()}
	for _, c := range []struct {
		name   string
		create fleet.Create
		change func(*fleet.Create)
		want   string
	}{
		{"labels and traits", base, func(c *fleet.Create) { c.HostLabels, c.Traits = map[string]string{"rack": "r1"}, []string{"uefi"} }, ""},
		{"a label without a name", base, func(c *fleet.Create) { c.HostLabels = map[string]string{"": "r1"} }, "host_labels: label is empty"},
		{"a label past the bound", base, func(c *fleet.Create) {
			c.HostLabels = map[string]string{"rack": strings.Repeat("r", fleet.MaxNameBytes+1)}
		}, "host_labels: value of label"},
		{"a trait without a name", base, func(c *fleet.Create) { c.Traits = []string{""} }, "trait is empty"},
		{"too many traits", base, func(c *fleet.Create) { c.Traits = slices.Repeat([]string{"uefi"}, fleet.MaxTraitsAsked+1) }, "at most 32"},
		{"a clone elsewhere by label", clone, func(c *fleet.Create) { c.HostLabels = map[string]string{"rack": "r1"} }, "leave them"},
		{"a clone elsewhere by trait", clone, func(c *fleet.Create) { c.Traits = []string{"uefi"} }, "leave them"},
	} {
		c.change(&c.create)
		err := c.create.Validate()
		if c.want == "" && err != nil || c.want != "" && (fleet.CodeOf(err) != fleet.CodeInvalid || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
