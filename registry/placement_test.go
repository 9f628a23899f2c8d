package registry

import (
	"testing"

	"grapevine/fleet"
)

// TestCreatesGoWhereTheConfiguredStrategySays: a create goes, and a dry run
// says that it would go, by the key placement.
func TestCreatesGoWhereTheConfiguredStrategySays(t *testing.T) {
	w := newWorld(t, 3)
	for i, free := range []int64{512 << 10, 2 << 10, 64 << 10} {
		w.agents[i].row.Capacity.MemoryMiB = fleet.NewAmount(1<<20, 0, 1<<20-free)
	}
	for how, want := range map[fleet.Strategy]string{fleet.Spread: "hosta", fleet.Pack: "hostb"} {
		c, _ := w.registryBy(how)
		explanation, err := c.Explain(t.Context(), create("vm", "").Create)
		if err != nil || explanation.ChosenName != want || explanation.Strategy != how {
			t.Errorf("by %s a dry run chooses %q by %q, %v; want %s", how, explanation.ChosenName, explanation.Strategy, err, want)
		}
		for _, key := range []string{"", "key-" + string(how)} {
			accepted, err := c.CreateInstance(t.Context(), create("vm", key))
			if err != nil || accepted.Instance.HostName != want {
				t.Errorf("by %s a create goes to %q, %v; want %s", how, accepted.Instance.HostName, err, want)
			}
		}
	}
}
