package libvirt

import (
	"context"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
)

// leases are the addresses that libvirt's own DHCP gave out, on any of its
// networks, by MAC address.
type leases map[string][]string

// cover reports whether each card of the domain has a lease.
func (l leases) cover(seen *seenDomain) bool {
	for _, card := range seen.Interfaces {
		if len(l[strings.ToLower(card.MAC.Address)]) == 0 {
			return false
		}
	}
	return true
}

// leases asks for the leases. A network that does not run has none; only a
// libvirt that does not answer is an error.
func (d *Driver) leases(ctx context.Context) (leases, error) {
	found := make(leases)
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		networks, _, err := rpc.ConnectListAllNetworks(1, golibvirt.ConnectListNetworksActive)
		if err != nil {
			return err
		}
		for _, network := range networks {
			list, _, err := rpc.NetworkGetDhcpLeases(network, nil, 1, 0)
			if session.Unanswered(err) {
				return err
			}
			for _, lease := range list {
				if len(lease.Mac) == 1 {
					mac := strings.ToLower(lease.Mac[0])
					found[mac] = append(found[mac], lease.Ipaddr)
				}
			}
		}
		return nil
	})
	if session.Unanswered(err) {
		return nil, err
	}
	return found, nil
}
