package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// wire is what a network card can be on.
type wire struct {
	bridge bool // of the system, not a network of libvirt's
	tags   bool // it can tag what a card sends
}

// wires are libvirt's networks that run, and the system's bridges, by name; of
// two with one name it is the network.
type wires map[string]wire

// tag reports whether any of them tags.
func (w wires) tag() bool {
	for _, one := range w {
		if one.tags {
			return true
		}
	}
	return false
}

// networks lists them.
func (d *Driver) networks(ctx context.Context) (wires, error) {
	found := wires{}
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		version, err := rpc.ConnectGetLibVersion()
		if err != nil {
			return err
		}
		tags := d.flavour.tagging != 0 && version >= d.flavour.tagging
		if err := addBridges(rpc, found, tags); err != nil && !session.IsCode(err, golibvirt.ErrNoSupport) {
			return err
		}
		err = addNetworks(rpc, found, tags)
		if session.IsCode(err, golibvirt.ErrNoSupport) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	return found, nil
}

func addNetworks(rpc *golibvirt.Libvirt, found wires, tags bool) error {
	networks, _, err := rpc.ConnectListAllNetworks(1, golibvirt.ConnectListNetworksActive)
	if err != nil {
		return err
	}
	for _, network := range networks {
		text, err := rpc.NetworkGetXMLDesc(network, 0)
		if err != nil {
			continue // it is gone since
		}
		found[network.Name] = wire{tags: tags || isOpenVSwitch(text)}
	}
	return nil
}

func isOpenVSwitch(network string) bool {
	var seen struct {
		Port struct {
			Type string `xml:"type,attr"`
		} `xml:"virtualport"`
	}
	return xml.Unmarshal([]byte(network), &seen) == nil && seen.Port.Type == "openvswitch"
}

// plugs begin the names of interfaces that machines and containers make in
// hundreds, and which are never bridges.
var plugs = []string{"vnet", "vif", "tap", "macvtap", "veth"}

func addBridges(rpc *golibvirt.Libvirt, found wires, tags bool) error {
	interfaces, _, err := rpc.ConnectListAllInterfaces(1, golibvirt.ConnectListInterfacesActive)
	if err != nil {
		return err
	}
	for _, i := range interfaces {
		if slices.ContainsFunc(plugs, func(p string) bool { return strings.HasPrefix(i.Name, p) }) {
			continue
		}
		text, err := rpc.InterfaceGetXMLDesc(i, 0)
		if err != nil {
			continue // it is gone since
		}
		var seen struct {
			Type string `xml:"type,attr"`
		}
		if xml.Unmarshal([]byte(text), &seen) == nil && seen.Type == "bridge" {
			found[i.Name] = wire{bridge: true, tags: tags}
		}
	}
	return nil
}

// wire finds out how cards are to be wired. One without a network is on the
// default one, and left out where that does not run.
func (w wires) wire(cards []fleet.NIC, standard string) ([]wiredCard, error) {
	var out []wiredCard
	for _, card := range cards {
		named := card.Network != ""
		if !named {
			card.Network = standard
		}
		on, there := w[card.Network]
		switch {
		case !there && !named:
			continue
		case !there:
			return nil, fmt.Errorf("network %q: %w", card.Network, drivers.ErrNotFound)
		case card.VLAN != 0 && !on.tags:
			return nil, fmt.Errorf("%w: network %q tags nothing with a VLAN (Open vSwitch does, and libvirt 11 on bridges)", drivers.ErrUnsupported, card.Network)
		}
		out = append(out, wiredCard{NIC: card, bridge: on.bridge})
	}
	return out, nil
}
