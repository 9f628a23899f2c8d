package libvirt_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/drivers/libvirt"
	"grapevine/fleet"
)

// agentGuest is the tiny guest with what scripts/guest-agent puts into it,
// which these words of its kernel's command line steer.
func agentGuest(words string) (fleet.Image, []byte) {
	im, content := tinyGuest()
	extra := guestAgent()
	initrd := &im.Files[1]
	whole := slices.Concat(content[im.Files[0].Bytes:], extra)
	im.Files = slices.Clone(im.Files)
	im.Files[1] = imageFile(initrd.Role, "", whole, 0)
	im.Bytes += int64(len(extra))
	im.Cmdline += " rdinit=/agent-init " + words
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	return im, slices.Concat(content, extra)
}

var guestAgent = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "grapevine-agent-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "agent")
	if out, err := command("../../scripts/guest-agent", file); err != nil {
		panic("make the guest's agent: " + err.Error() + ": " + out)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	return content
})

// addresses runs four machines on one network at once: what each source tells
// is found, also while the agent of another holds libvirt up.
func (l *lab) addresses(t *testing.T) {
	file := filepath.Join(l.dir, "wired.xml")
	must(t, os.WriteFile(file, []byte(`<network><name>wired</name><bridge name="gvwired0"/>
		<ip address="192.0.2.1" prefix="24"><dhcp><range start="192.0.2.100" end="192.0.2.120"/></dhcp></ip></network>`), 0o600))
	l.virsh(t, "net-define", file)
	l.virsh(t, "net-start", "wired")
	d := driver(t, l, func(c *libvirt.Config) { c.Network = "wired" })
	want := map[fleet.InstanceID]func([]string) bool{}
	is := func(a string) func([]string) bool {
		return func(got []string) bool { return slices.Equal(got, []string{a}) }
	}
	// libvirt 9 cannot read the ARP table of newer kernels ("wrong nlmsg len"):
	// whose address would come from there has none then, and is listed as ever.
	arp := func(a string) func([]string) bool {
		return func(got []string) bool { return is(a)(got) || len(got) == 0 && l.arpIsBroken() }
	}
	for words, right := range map[string]func([]string) bool{
		"agent=mute address=192.0.2.3/24 greets=192.0.2.1": arp("192.0.2.3"), // by ARP, for want of an answer
		"agent=none address=192.0.2.4/24 greets=192.0.2.1": arp("192.0.2.4"),
		"address=192.0.2.5/24":                             is("192.0.2.5"),
		"agent=none address=dhcp": func(got []string) bool {
			return len(got) == 1 && got[0] >= "192.0.2.100" && got[0] <= "192.0.2.120"
		},
	} {
		im, content := agentGuest(words)
		s := spec(t, d, im, content, 0)
		s.Cards = fleet.Cards(s.Mark.ID, nil)
		must(t, d.Build(t.Context(), s))
		must(t, d.Act(t.Context(), s.Mark.ID, fleet.Start, drivers.ActOptions{}))
		want[s.Mark.ID] = right
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for last := ""; ; {
		list, err := d.List(t.Context())
		must(t, err)
		missing := 0
		for _, m := range list {
			if right := want[m.ID]; right != nil && !right(m.Addresses) {
				missing++
				last = fmt.Sprintf("%s has %v: %s", m.Name, m.Addresses, console(t, d, m.ID, 0))
			}
		}
		if missing == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%d of the machines are without their addresses after %s; %s", missing, patience, last)
		}
	}
	for id := range want {
		must(t, d.Act(t.Context(), id, fleet.Stop, drivers.ActOptions{}))
	}
}

// arpIsBroken reports whether libvirt itself fails to read the ARP table.
func (l *lab) arpIsBroken() bool {
	socket := "qemu+unix:///system?socket=" + l.socket
	running, _ := command("virsh", "-q", "-c", socket, "list", "--uuid")
	for id := range strings.FieldsSeq(running) {
		_, err := command("virsh", "-q", "-c", socket, "domifaddr", id, "--source", "arp")
		if err != nil && strings.Contains(err.Error(), "wrong nlmsg len") {
			return true
		}
	}
	return false
}
