package drivertest

import (
	"errors"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func foreignRefuses(k *kit) {
	id := k.define("by-hand")
	k.h.PowerOn(k, id)
	m, err := k.d.Inspect(k.Context(), id)
	k.must(err)
	if m.Mark != nil || m.Name == "" || m.Power != fleet.PowerRunning || m.Resources.VCPUs < 1 || m.Resources.MemoryMiB < 1 {
		k.Errorf("got %+v; want a running machine with a name, a size and no Mark", m)
	}
	for _, action := range []fleet.InstanceAction{fleet.Start, fleet.Stop, fleet.Reboot} {
		if err := k.d.Act(k.Context(), id, action, drivers.ActOptions{}); !errors.Is(err, drivers.ErrForeign) {
			k.Errorf("%s: got %v, want ErrForeign", action, err)
		}
	}
	if err := k.d.Delete(k.Context(), id); !errors.Is(err, drivers.ErrForeign) {
		k.Errorf("delete: got %v, want ErrForeign", err)
	}
	k.wantPower(id, fleet.PowerRunning)
}

func adoptKeepsPower(k *kit) {
	for _, power := range []fleet.Power{fleet.PowerStopped, fleet.PowerRunning} {
		id := k.define("adopted-" + string(power))
		if power == fleet.PowerRunning {
			k.h.PowerOn(k, id)
		}
		was, err := k.d.Inspect(k.Context(), id)
		k.must(err)
		mark := drivers.Mark{
			ID: id, Name: "mine now", Project: "conformance", DiskGiB: was.Resources.DiskGiB,
			CreatedAt: time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC), Generation: 1,
		}
		for range 2 { // a repeated adopt is no error
			k.must(k.d.Adopt(k.Context(), id, mark))
		}
		k.d = k.open()
		m, err := k.d.Inspect(k.Context(), id)
		k.must(err)
		was.Mark = &mark
		if diff := cmp.Diff(was, m); diff != "" {
			k.Errorf("an adopted machine, seen by a new driver (-want +got):\n%s", diff)
		}
		k.act(id, fleet.Stop)
		k.wantPower(id, fleet.PowerStopped)
	}
}

func markRoundTrips(k *kit) {
	for _, name := range []string{
		"plain", "näme with spaces", "日本語 🍇", `"double" 'single' \back`, "<mark a='b'>&amp;</mark>", "]]>", "$HOME %s ; | *",
		"../../etc/passwd", "-rf", "a/b", "[datastore] x", strings.Repeat("n", fleet.MaxNameBytes), strings.Repeat("é", fleet.MaxNameBytes/2),
	} {
		spec := k.spec(name)
		spec.Mark.Project = name
		spec.Mark.Flavor = name
		spec.Mark.Labels = map[string]string{name: name, "empty": "", "role": "web"}
		spec.Mark.Generation = 1<<63 + 7
		spec.Mark.RequestHash = strings.Repeat("f", 64)
		k.must(k.d.Build(k.Context(), spec))
		m, err := k.open().Inspect(k.Context(), spec.Mark.ID)
		k.must(err)
		if diff := cmp.Diff(&spec.Mark, m.Mark); diff != "" {
			k.Errorf("%q did not round-trip (-want +got):\n%s", name, diff)
		}
		k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	}
}

func equalNames(k *kit) {
	a, b := k.build("same"), k.build("same")
	k.act(a, fleet.Start)
	k.wantPower(a, fleet.PowerRunning)
	k.wantPower(b, fleet.PowerStopped)
	k.must(k.d.Delete(k.Context(), b))
	k.wantPower(a, fleet.PowerRunning)
}
