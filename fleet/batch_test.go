package fleet_test

import (
	"reflect"
	"strconv"
	"strings"
	"testing"

	"grapevine/fleet"
)

func TestBatchesAreJudged(t *testing.T) {
	base := fleet.Create{Name: "web", Flavor: "nano", Image: "tiny"}
	for _, c := range []struct {
		name   string
		count  int
		change func(*fleet.Create)
		want   string
	}{
		{"a lone create", 0, func(*fleet.Create) {}, ""},
		{"as many as may be", fleet.MaxBatch, func(*fleet.Create) {}, ""},
		{"one more", fleet.MaxBatch + 1, func(*fleet.Create) {}, "count is 1001"},
		{"less than none", -1, func(*fleet.Create) {}, "count is -1"},
		{"a name that is too long with its number", 10, func(c *fleet.Create) { c.Name = strings.Repeat("x", fleet.MaxNameBytes-2) }, "129 bytes"},
		{"the same, while it has room", 9, func(c *fleet.Create) { c.Name = strings.Repeat("x", fleet.MaxNameBytes-2) }, ""},
		{"one card for all", 2, func(c *fleet.Create) { c.Networks = []fleet.NIC{{MAC: "52:54:00:00:00:01"}} }, "leave it out"},
	} {
		many := fleet.CreateMany{Create: base, Count: c.count}
		c.change(&many.Create)
		err := many.Validate()
		if c.want == "" && err != nil || c.want != "" && (fleet.CodeOf(err) != fleet.CodeInvalid || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	field, _ := reflect.TypeFor[fleet.CreateMany]().FieldByName("Count")
	if got := field.Tag.Get("maximum"); got != strconv.Itoa(fleet.MaxBatch) {
		t.Errorf("the document allows a count of %s, want %d", got, fleet.MaxBatch)
	}
	if got := fleet.BatchKey("", 3); got != "" {
		t.Errorf("a batch without a key has the key %q for its third", got)
	}
}
