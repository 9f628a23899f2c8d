package libvirt

import (
	"context"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
)

// leases are the addresses that libvirt's own DHCP gave out, on any of its
// networks, by MAC address.
type leases map[string][]string

// of returns the domain's addresses, in order.
func (l leases) of(seen *seenDomain) []string {
	var all []string
	for _, nic := range seen.Interfaces {
		all = append(all, l[strings.ToLower(nic.MAC.Address)]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
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
