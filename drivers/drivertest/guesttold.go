package drivertest

import (
	"errors"

	"grapevine/drivers"
	"grapevine/fleet"
)

// guestIsTold asks what cloud-init finds in a machine, as another host needs it to
// make the machine anew.
func guestIsTold(k *kit) {
	spec := k.spec("Told")
	spec.Resources.DiskGiB = max(spec.Resources.DiskGiB, 1)
	spec.Mark.DiskGiB, spec.Mark.Generation = spec.Resources.DiskGiB, 0
	if k.has(drivers.FeatureCloudInit) {
		spec.Guest = fleet.Guest{UserData: "#cloud-config\nruncmd: [echo \"ünd\"]\n", SSHKeys: []string{"ssh-ed25519 AAAA someone"}, Hostname: "told"}
	}
	k.must(k.d.Build(k.Context(), spec))
	teller := ability[drivers.GuestTeller](k)
	got, err := teller.Guest(k.Context(), spec.Mark.ID)
	k.must(err)
	if got.UserData != spec.Guest.UserData || len(got.SSHKeys) != len(spec.Guest.SSHKeys) || spec.Guest.Hostname != "" && got.Hostname != "told" {
		k.Errorf("told is %+v, and it was built with %+v", got, spec.Guest)
	}
	if _, err := teller.Guest(k.Context(), fleet.UUID{0xfe}); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("of no machine: %v, want ErrNotFound", err)
	}
	// One that is not its host's own yet bears generation 0, until it is.
	m, err := k.d.Inspect(k.Context(), spec.Mark.ID)
	k.must(err)
	if m.Mark == nil || m.Mark.Generation != 0 {
		k.Fatalf("its mark is %+v, want generation 0", m.Mark)
	}
	mark := m.Mark.Clone()
	mark.Generation = 7
	k.must(k.d.Adopt(k.Context(), spec.Mark.ID, *mark))
	k.must(k.d.Adopt(k.Context(), spec.Mark.ID, *mark))
	if m, err = k.d.Inspect(k.Context(), spec.Mark.ID); err != nil || m.Mark.Generation != 7 {
		k.Errorf("marked anew it is %+v, %v", m.Mark, err)
	}
}
