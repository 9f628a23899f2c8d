package libvirt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
	"grapevine/internal/pause"
)

// virtualSwitch is an Open vSwitch in the lab's own network, switching in its own
// process, so that it takes nothing of the kernel's.
type virtualSwitch struct {
	l *lab
	t *testing.T
}

// openVSwitch starts one with a bridge of this name, and with a network of
// libvirt's over it that has the same name.
func (l *lab) openVSwitch(t *testing.T, name string) *virtualSwitch {
	t.Helper()
	for _, tool := range []string{"ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl"} {
		if !installed(tool) {
			leaveout.Test(t, tool+" is not installed")
		}
	}
	s := &virtualSwitch{l, t}
	const socket, schema = "/run/openvswitch/db.sock", "/usr/share/openvswitch/vswitch.ovsschema"
	database := filepath.Join(l.dir, "switch.db")
	s.exec("mkdir", "-p", "/run/openvswitch")
	s.exec("ovsdb-tool", "create", database, schema)
	s.exec("ovsdb-server", database, "--remote=punix:"+socket, "--detach", "--pidfile", "--log-file="+filepath.Join(l.dir, "switch-db.log"))
	t.Cleanup(func() { s.exec("ovs-appctl", "-t", "ovsdb-server", "exit") })
	s.configure("--no-wait", "init")
	s.exec("ovs-vswitchd", "unix:"+socket, "--detach", "--pidfile", "--log-file="+filepath.Join(l.dir, "switch.log"))
	t.Cleanup(func() { s.exec("ovs-appctl", "-t", "ovs-vswitchd", "exit", "--cleanup") })
	s.configure("add-br", name, "--", "set", "bridge", name, "datapath_type=netdev")

	file := filepath.Join(l.dir, name+".xml")
	must(t, os.WriteFile(file, fmt.Appendf(nil,
		`<network><name>%s</name><forward mode="bridge"/><bridge name="%[1]s"/><virtualport type="openvswitch"/></network>`, name), 0o600))
	l.virsh(t, "net-define", file)
	l.virsh(t, "net-start", name)
	t.Cleanup(func() { l.virsh(t, "net-destroy", name) })
	return s
}

func (s *virtualSwitch) exec(args ...string) string {
	s.t.Helper()
	return s.l.daemon(s.t, "exec", args...)
}

func (s *virtualSwitch) configure(args ...string) string {
	s.t.Helper()
	return s.exec(append([]string{"ovs-vsctl", "--timeout=20"}, args...)...)
}

// tags are those of the bridge's ports that carry a card with this MAC address.
func (s *virtualSwitch) tags(mac string) (tags []string) {
	s.t.Helper()
	interfaces := s.configure("--bare", "--columns=name", "find", "interface", `external_ids:attached-mac="`+mac+`"`)
	for port := range strings.FieldsSeq(interfaces) {
		tags = append(tags, strings.TrimSpace(s.configure("get", "port", port, "tag")))
	}
	return tags
}

// station is an end of the bridge in this VLAN that has an address.
func (s *virtualSwitch) station(bridge, name, vlan, address string) {
	s.t.Helper()
	s.configure("add-port", bridge, name, "tag="+vlan, "--", "set", "interface", name, "type=internal")
	s.exec("ip", "address", "add", address, "dev", name)
	s.exec("ip", "link", "set", name, "up")
}

// taggedCard: what a card with a VLAN sends reaches that VLAN and no other, on an
// Open vSwitch; one that comes while the machine runs is tagged too.
func (l *lab) taggedCard(t *testing.T) {
	s := l.openVSwitch(t, "gvovs0")
	s.station("gvovs0", "gvlan12", "12", "192.0.2.1/24")
	s.station("gvovs0", "gvlan13", "13", "192.0.2.1/24")
	d := driver(t, l, func(c *libvirt.Config) { c.Network = "gvovs0" })
	im, content := agentGuest("agent=none address=192.0.2.7/24 greets=192.0.2.1")
	spec := spec(t, d, im, content, 0)
	id := spec.Mark.ID
	spec.Cards = fleet.Cards(id, []fleet.NIC{{Network: "gvovs0", VLAN: 12}})
	must(t, d.Build(t.Context(), spec))
	must(t, d.Act(t.Context(), id, fleet.Start, drivers.ActOptions{}))
	wantTags := func(when, mac string, want ...string) {
		t.Helper()
		if got := s.tags(mac); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: the card %s is on ports with the tags %v, want %v", when, mac, got, want)
		}
	}
	first := spec.Cards[0].MAC
	wantTags("running", first, "12")
	s.awaitNeighbour("gvlan12", first)
	if heard := s.neighbours("gvlan13"); heard != "" {
		t.Errorf("in a VLAN that is not the card's it was heard as %s", heard)
	}
	second := fleet.NIC{Network: "gvovs0", VLAN: 13, MAC: fleet.MACAddress(id, 1)}
	must(t, d.AttachDevice(t.Context(), id, drivers.Attachment{Kind: fleet.DeviceNIC, Name: second.MAC, NIC: second}))
	wantTags("attached", second.MAC, "13")
	must(t, d.DetachDevice(t.Context(), id, second.MAC))
	wantTags("detached", second.MAC)
	must(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}))
	wantTags("stopped", first)
}

// neighbours are who was heard at a station.
func (s *virtualSwitch) neighbours(station string) string {
	s.t.Helper()
	return strings.TrimSpace(s.exec("ip", "neigh", "show", "dev", station))
}

func (s *virtualSwitch) awaitNeighbour(station, mac string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for !strings.Contains(s.neighbours(station), mac) {
		if !pause.For(ctx, 100*time.Millisecond) {
			s.t.Fatalf("nothing of %s was heard at %s: %s", mac, station, s.exec("ovs-appctl", "fdb/show", "gvovs0"))
		}
	}
}
