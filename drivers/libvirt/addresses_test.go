package libvirt

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// machine is a domain with two cards.
const machine = `<domain><devices>
	<interface><mac address="52:54:00:AA:00:01"/></interface><interface><mac address="52:54:00:aa:00:02"/></interface>
	<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0" state="connected"/></channel>
</devices></domain>`

func said(mac string, addresses ...string) golibvirt.DomainInterface {
	one := golibvirt.DomainInterface{Name: "any", Hwaddr: golibvirt.OptString{mac}}
	for _, a := range addresses {
		one.Addrs = append(one.Addrs, golibvirt.DomainIPAddr{Addr: a})
	}
	return one
}

func TestAddressesComeFromLeaseAgentAndARPInThisOrder(t *testing.T) {
	const one, two = "52:54:00:aa:00:01", "52:54:00:aa:00:02"
	seen, err := parseDomain(machine)
	if err != nil {
		t.Fatal(err)
	}
	if !seen.agentListens() {
		t.Error("its agent does not listen, want that it does")
	}
	agent := []golibvirt.DomainInterface{
		{Name: "lo", Addrs: []golibvirt.DomainIPAddr{{Addr: "127.0.0.1"}}},
		said("52:54:00:AA:00:01", "192.0.2.7", "fe80::1", "2001:db8::7", "169.254.1.1", "no address", "ff02::1", "0.0.0.0"),
		said("02:42:ac:11:00:02", "172.17.0.1"), // a bridge within the guest
	}
	arp := []golibvirt.DomainInterface{said(one, "192.0.2.99"), said(two, "192.0.2.8")}
	for _, tt := range []struct {
		name       string
		leases     leases
		agent, arp []golibvirt.DomainInterface
		want       []string
	}{
		{"nothing", nil, nil, nil, []string{}},
		{"leases alone", leases{one: {"192.0.2.5"}}, nil, nil, []string{"192.0.2.5"}},
		{"the agent alone", nil, agent, nil, []string{"192.0.2.7", "2001:db8::7"}},
		{"ARP for a card without a lease", leases{one: {"192.0.2.5"}}, nil, arp, []string{"192.0.2.5", "192.0.2.8"}},
		{"ARP for a card that the agent does not name", nil, agent, arp, []string{"192.0.2.7", "192.0.2.8", "2001:db8::7"}},
		{"a lease and an agent that knows more", leases{one: {"192.0.2.7"}}, agent, arp, []string{"192.0.2.7", "192.0.2.8", "2001:db8::7"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Unix(1e9, 0)
			var h heard
			if tt.agent != nil {
				h.hearAgent(tt.agent, now)
			}
			h.hearARP(tt.arp, now)
			got := append([]string{}, addressesOn(seen, tt.leases, &h, now)...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddressOutlivesAnAbsenceAndNotALongOne(t *testing.T) {
	const mac = "52:54:00:aa:00:01"
	now := time.Unix(1e9, 0)
	var h heard
	h.hearARP([]golibvirt.DomainInterface{said(mac, "192.0.2.7")}, now)
	h.hearARP(nil, now.Add(heardFor))
	if got := h.on(mac, now.Add(heardFor)); len(got) != 1 || got[0] != netip.MustParseAddr("192.0.2.7") {
		t.Errorf("got %v, want the address that is out of the table for a while", got)
	}
	h.hearARP(nil, now.Add(heardFor+1))
	if got := h.on(mac, now.Add(heardFor+1)); len(got) != 0 {
		t.Errorf("got %v, want nothing of what is long gone", got)
	}
	h.hearAgent([]golibvirt.DomainInterface{said(mac, "192.0.2.8")}, now)
	if got := h.on(mac, now.Add(heardFor+1)); len(got) != 0 {
		t.Errorf("got %v of an agent that is silent for long, want nothing", got)
	}
}

func TestGuestCannotTellWithoutEnd(t *testing.T) {
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("2001:db8::%x", i+1))
	}
	got := addressesOf([]golibvirt.DomainInterface{said("52:54:00:aa:00:01", many...)})
	if n := len(got["52:54:00:aa:00:01"]); n != fleet.MaxAddresses {
		t.Errorf("%d addresses are kept, want %d", n, fleet.MaxAddresses)
	}
}
