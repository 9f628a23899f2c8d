package drivertest

import (
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func cloudInitFindsIt(k *kit) {
	spec := k.spec("Web Server")
	before := k.storage()
	spec.Cards = fleet.Cards(spec.Mark.ID, nil)
	spec.Guest = fleet.Guest{
		UserData: "#cloud-config\n# ünïcode, \"quotes\" & <tags>\nruncmd: [echo hello]\n",
		SSHKeys:  []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqI someone@somewhere", "ssh-rsa AAAAB3 another"},
	}
	k.must(k.d.Build(k.Context(), spec))
	found := k.h.Guest(k, spec.Mark.ID)
	for _, want := range append([]string{spec.Guest.UserData, "web-server", spec.Mark.ID.String()}, spec.Guest.SSHKeys...) {
		if !strings.Contains(found, want) {
			k.Errorf("cloud-init would not find %q in:\n%s", want, found)
		}
	}
	k.act(spec.Mark.ID, fleet.Start)
	k.must(k.d.Delete(k.Context(), spec.Mark.ID))
	if diff := cmp.Diff(before, k.storage()); diff != "" {
		k.Errorf("delete left something:\n%s", diff)
	}
}

// seeded is a guest that is told something, where the hypervisor can.
func (k *kit) seeded() fleet.Guest {
	k.Helper()
	if !k.has(drivers.FeatureCloudInit) {
		return fleet.Guest{}
	}
	return fleet.Guest{Hostname: "with-a-seed"}
}

// has reports whether the driver declares the feature.
func (k *kit) has(feature drivers.Feature) bool {
	k.Helper()
	desc, err := k.d.Describe(k.Context())
	k.must(err)
	return slices.Contains(desc.Features, feature)
}

func guestIsAskedItsOwnWay(k *kit) {
	spec := k.spec("ignored")
	spec.Guest = fleet.Guest{Hostname: "db-1.example.org", NetworkConfig: "version: 2\nethernets:\n  all: {match: {name: e*}, addresses: [192.0.2.7/24]}\n"}
	k.must(k.d.Build(k.Context(), spec))
	found := k.h.Guest(k, spec.Mark.ID)
	for _, want := range []string{spec.Guest.Hostname, "192.0.2.7/24"} {
		if !strings.Contains(found, want) {
			k.Errorf("cloud-init would not find %q in:\n%s", want, found)
		}
	}
}
