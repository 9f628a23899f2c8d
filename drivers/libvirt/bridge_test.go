package libvirt_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// awaitNetwork waits until the host says that it has a network of this name:
// the kernel takes a moment to call a bridge up.
func (l *lab) awaitNetwork(t *testing.T, d drivers.Driver, name string) drivers.Description {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		desc, err := d.Describe(t.Context())
		must(t, err)
		if slices.Contains(desc.Networks, name) {
			return desc
		}
		if !pause.For(ctx, 100*time.Millisecond) {
			t.Fatalf("the networks are %q, want %s among them; %s", desc.Networks, name,
				l.daemon(t, "exec", "ip", "-d", "link", "show", name))
		}
	}
}

// bridgedCard puts a card on a bridge that the host has without libvirt, and
// another one while the machine runs; one with a VLAN is refused where libvirt
// cannot tag it, before anything is begun.
func (l *lab) bridgedCard(t *testing.T) {
	ip := func(args ...string) string { return l.daemon(t, "exec", append([]string{"ip"}, args...)...) }
	ip("link", "add", "gvbr0", "type", "bridge")
	ip("link", "add", "gvport0", "type", "veth", "peer", "name", "gvport1")
	for _, name := range []string{"gvbr0", "gvport0", "gvport1"} {
		ip("link", "set", name, "up")
	}
	ip("link", "set", "gvport0", "master", "gvbr0") // without a port that is up a bridge is not
	ports := func() int { return strings.Count(ip("link", "show", "master", "gvbr0"), "vnet") }

	d := driver(t, l, nil)
	desc := l.awaitNetwork(t, d, "gvbr0")
	im, content := tinyGuest()
	s := spec(t, d, im, content, 0)
	id := s.Mark.ID
	s.Cards = fleet.Cards(id, []fleet.NIC{{Network: "gvbr0", VLAN: 12}})
	tags := slices.Contains(desc.Features, drivers.FeatureVLAN)
	if err := d.Build(t.Context(), s); !tags && !errors.Is(err, drivers.ErrUnsupported) || tags && err != nil {
		t.Fatalf("with a VLAN: got %v, the feature is declared: %v", err, tags)
	}
	s.Cards = fleet.Cards(id, []fleet.NIC{{Network: "gvbr0"}})
	must(t, d.Delete(t.Context(), id))
	must(t, d.Build(t.Context(), s))
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	if n := ports(); n != 1 {
		t.Errorf("%d of the machine's cards are on the bridge, want 1: %s", n, ip("link", "show", "master", "gvbr0"))
	}
	second := fleet.NIC{Network: "gvbr0", MAC: fleet.MACAddress(id, 1)}
	must(t, d.AttachDevice(t.Context(), id, drivers.Attachment{Kind: fleet.DeviceNIC, Name: second.MAC, NIC: second}))
	if n := ports(); n != 2 {
		t.Errorf("%d of the machine's cards are on the bridge, want 2: %s", n, ip("link", "show", "master", "gvbr0"))
	}
	must(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}))
	if n := ports(); n != 0 {
		t.Errorf("%d cards of a machine that is stopped are on the bridge", n)
	}
}
