package libvirt

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/fleet"
)

// heard is what a running machine's guest agent, and the host's ARP table, said
// of its addresses, by the MAC address of the card.
type heard struct {
	agent   map[string][]netip.Addr
	agentAt time.Time
	// arp has when each address was last in the table. The kernel drops entries
	// in and out of it as it checks them, so that one absence says nothing.
	arp map[string]map[netip.Addr]time.Time
}

// heardFor is how long an address counts that is not heard of again: past the
// longest pause between two questions, and what the kernel takes to look at an
// entry of its table again.
const heardFor = 10 * time.Minute

// hearAgent takes in an answer of the guest agent, which knows all addresses
// that the guest has.
func (h *heard) hearAgent(all []golibvirt.DomainInterface, now time.Time) {
	h.agent, h.agentAt = addressesOf(all), now
}

// hearARP takes in what the host's ARP table has.
func (h *heard) hearARP(all []golibvirt.DomainInterface, now time.Time) {
	for mac, found := range addressesOf(all) {
		if h.arp == nil {
			h.arp = make(map[string]map[netip.Addr]time.Time)
		}
		if h.arp[mac] == nil {
			h.arp[mac] = make(map[netip.Addr]time.Time)
		}
		for _, a := range found {
			h.arp[mac][a] = now
		}
	}
	for _, known := range h.arp {
		for a, at := range known {
			if now.Sub(at) > heardFor {
				delete(known, a)
			}
		}
	}
}

// on returns the addresses of a card: what the agent says of it, or else ARP.
func (h *heard) on(mac string, now time.Time) []netip.Addr {
	if told := h.agent[mac]; len(told) > 0 && now.Sub(h.agentAt) <= heardFor {
		return told
	}
	var found []netip.Addr
	for a, at := range h.arp[mac] {
		if now.Sub(at) <= heardFor {
			found = append(found, a)
		}
	}
	return found
}

// all is all that is known, to be compared.
func (h *heard) all(now time.Time) []string {
	var all []string
	for _, mac := range slices.Concat(slices.Collect(maps.Keys(h.agent)), slices.Collect(maps.Keys(h.arp))) {
		for _, a := range h.on(mac, now) {
			all = append(all, mac+" "+a.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// addressesOf reads libvirt's answer. What a guest says of itself is not
// trusted to be addresses, nor to be few.
func addressesOf(all []golibvirt.DomainInterface) map[string][]netip.Addr {
	out := make(map[string][]netip.Addr)
	for _, one := range all {
		if len(one.Hwaddr) != 1 {
			continue
		}
		mac := strings.ToLower(one.Hwaddr[0])
		for _, said := range one.Addrs {
			a, err := netip.ParseAddr(said.Addr)
			a = a.Unmap().WithZone("")
			if err == nil && worthTelling(a) && len(out[mac]) < fleet.MaxAddresses {
				out[mac] = append(out[mac], a)
			}
		}
	}
	return out
}

// worthTelling: others can reach a machine there.
func worthTelling(a netip.Addr) bool {
	return !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// addressesOn are a domain's addresses: the leases of its cards and what is
// heard of them beside, in order; ARP's word only for a card of which there is
// no other.
func addressesOn(seen *seenDomain, leases leases, h *heard, now time.Time) []string {
	var all []string
	for _, card := range seen.Interfaces {
		mac := strings.ToLower(card.MAC.Address)
		all = append(all, leases[mac]...)
		if len(leases[mac]) > 0 && len(h.agent[mac]) == 0 {
			continue
		}
		for _, a := range h.on(mac, now) {
			all = append(all, a.String())
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), fleet.MaxAddresses)]
}
