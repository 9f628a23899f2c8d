package libvirt

import (
	"context"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
)

// leases are the addresses that libvirt's own DHCP gave out on the configured
// network, by MAC address.
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

// leases asks for the leases. A network that is not there or does not run has
// none; only a libvirt that does not answer is an error.
func (d *Driver) leases(ctx context.Context) (leases, error) {
	found := make(leases)
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		network, err := rpc.NetworkLookupByName(d.config.Network)
		if err != nil {
			return err
		}
		list, _, err := rpc.NetworkGetDhcpLeases(network, nil, 1, 0)
		for _, lease := range list {
			if len(lease.Mac) == 1 {
				mac := strings.ToLower(lease.Mac[0])
				found[mac] = append(found[mac], lease.Ipaddr)
			}
		}
		return err
	})
	if session.Unanswered(err) {
		return nil, err
	}
	return found, nil
}

// card returns the network that a new machine gets a card on, empty for none.
func (d *Driver) card(ctx context.Context) (string, error) {
	active := false
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		network, err := rpc.NetworkLookupByName(d.config.Network)
		if err != nil {
			return err
		}
		yes, err := rpc.NetworkIsActive(network)
		active = yes == 1
		return err
	})
	switch {
	case session.Unanswered(err):
		return "", err
	case err != nil || !active:
		return "", nil
	}
	return d.config.Network, nil
}
