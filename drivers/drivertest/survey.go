package drivertest

import (
	"errors"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
)

// surveyAgrees holds the survey to what the host is described as, and to saying
// the same when nothing has happened.
func surveyAgrees(k *kit) {
	surveyor := ability[drivers.Surveyor](k)
	desc, err := k.d.Describe(k.Context()) // which makes what the driver needs
	k.must(err)
	hw, err := surveyor.Survey(k.Context())
	k.must(err)
	if !hw.Host.IsZero() {
		k.Errorf("it names the host %s; that is the agent's to say", hw.Host)
	}
	if n := hw.CPU.Sockets * hw.CPU.Cores * hw.CPU.Threads; hw.CPU.Model == "" || int64(n) != desc.Total.VCPUs {
		k.Errorf("the processors are %+v, which are %d; the host has %d", hw.CPU, n, desc.Total.VCPUs)
	}
	if len(hw.Pools) == 0 {
		k.Error("it has no storage pools, and keeps images")
	}
	for _, p := range hw.Pools {
		if p.Name == "" || p.Type == "" || p.FreeGiB > p.TotalGiB {
			k.Errorf("pool %+v; want a name, a type, and no more free than there is", p)
		}
	}
	if hw.NUMA == nil || hw.Networks == nil || hw.Devices == nil || hw.CPU.Flags == nil {
		k.Errorf("a list is nil in %+v", hw)
	}
	again, err := surveyor.Survey(k.Context())
	k.must(err)
	if diff := cmp.Diff(hw, again); diff != "" {
		k.Errorf("two surveys with nothing between them differ:\n%s", diff)
	}
	k.h.Cut(k)
	_, err = surveyor.Survey(k.Context())
	k.h.Restore(k)
	if !errors.Is(err, drivers.ErrUnavailable) {
		k.Errorf("while cut: got %v, want ErrUnavailable", err)
	}
}
