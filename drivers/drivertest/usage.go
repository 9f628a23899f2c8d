package drivertest

import (
	"errors"

	"grapevine/drivers"
	"grapevine/fleet"
)

// usageRises holds counts to going up while a machine runs, and to being there
// for machines that run, foreign ones too, and for no others.
func usageRises(k *kit) {
	metered := ability[drivers.Metered](k)
	usage := func() map[fleet.InstanceID]fleet.Usage {
		k.Helper()
		all, err := metered.Usage(k.Context())
		k.must(err)
		return all
	}
	id, foreign := k.build("metered"), k.define("metered by hand")
	all := usage()
	for _, off := range []fleet.InstanceID{id, foreign} {
		if used, there := all[off]; there {
			k.Errorf("a stopped machine has the usage %+v", used)
		}
	}
	k.act(id, fleet.Start)
	k.h.PowerOn(k, foreign)
	k.eventually("running machines have a usage", func() bool {
		all := usage()
		_, ours := all[id]
		_, others := all[foreign]
		return ours && others
	})
	first := usage()[id]
	if first.CPUSeconds == nil && first.CPUHertz == nil {
		k.Errorf("got %+v, want it to tell something of processors", first)
	}
	if first.CPUSeconds != nil {
		k.eventually("the count of CPU time goes up", func() bool {
			now := usage()[id]
			return now.CPUSeconds != nil && *now.CPUSeconds > *first.CPUSeconds
		})
	}
	k.act(id, fleet.Stop)
	k.eventually("a stopped machine has no usage", func() bool {
		_, there := usage()[id]
		return !there
	})
	k.h.Cut(k)
	_, err := metered.Usage(k.Context())
	k.h.Restore(k)
	if !errors.Is(err, drivers.ErrUnavailable) {
		k.Errorf("while cut: got %v, want ErrUnavailable", err)
	}
	k.eventually("the usage is told again", func() bool {
		_, err := metered.Usage(k.Context())
		return err == nil
	})
}
