package fleet

import (
	"crypto/sha256"
	"fmt"
	"net"
)

// NoNetwork is, as the only network that is asked for, that of an instance
// without network cards.
const NoNetwork = "none"

// NIC is a network card that an instance is to have.
type NIC struct {
	// Network is the name of a network of the host: a libvirt network or a
	// bridge, a port group on ESXi.
	Network string `json:"network"`
	// VLAN tags what the card sends, IEEE 802.1Q; 0 is untagged. It takes a
	// host with the trait TraitVLAN.
	VLAN int `json:"vlan,omitempty"`
	// MAC is the card's address; one made from the instance's id when empty.
	MAC string `json:"mac,omitempty"`
}

// TraitVLAN is the trait of hosts that tag what a card sends.
const TraitVLAN = "vlan"

// MaxVLAN is the largest id that IEEE 802.1Q leaves free.
const MaxVLAN = 4094

// MACAddress returns the address of an instance's card with this number, from
// 0: the same at each call, locally administered, so that no maker's address
// can be the same. Of its 48 bits 40 are a hash: among the 1,000 cards of a
// large network two are alike once in two million times.
func MACAddress(id InstanceID, number int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "grapevine nic %s %d", id, number))
	return net.HardwareAddr{0x02, sum[0], sum[1], sum[2], sum[3], sum[4]}.String()
}

// CheckNICs judges the network cards that a person asks for.
func CheckNICs(nics []NIC) error {
	if len(nics) > MaxNICs {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%d network cards; at most %d are allowed", len(nics), MaxNICs)}
	}
	seen := map[string]bool{}
	for i, nic := range nics {
		if err := nic.validate(len(nics)); err != nil {
			return err
		}
		if nic.MAC != "" && seen[nic.MAC] {
			return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("network card %d has the MAC address %s of another", i+1, nic.MAC)}
		}
		seen[nic.MAC] = true
	}
	return nil
}

func (n *NIC) validate(of int) error {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("network %.80q: ", n.Network) + fmt.Sprintf(format, args...)}
	}
	if err := CheckName("network", n.Network); err != nil {
		return err
	}
	if n.Network == NoNetwork && (of > 1 || n.VLAN != 0 || n.MAC != "") {
		return bad("it stands for no network card at all, and so stands alone")
	}
	if n.VLAN < 0 || n.VLAN > MaxVLAN {
		return bad("VLAN %d is not one of 1 to %d", n.VLAN, MaxVLAN)
	}
	if n.MAC == "" {
		return nil
	}
	mac, err := net.ParseMAC(n.MAC)
	switch {
	case err != nil || len(mac) != 6 || mac.String() != n.MAC:
		return bad("MAC address %.40q is not of the form 02:00:00:ab:cd:ef, in lower case", n.MAC)
	case mac[0]&1 != 0:
		return bad("MAC address %s is one for groups; clear the lowest bit of its first byte", n.MAC)
	case mac[0] == 0xfe:
		return bad("MAC address %s begins with fe, which bridges keep for themselves", n.MAC)
	}
	return nil
}

// Cards resolves what was asked for into cards with addresses; nothing asked
// is one card on the host's default network, which has no name here.
func Cards(id InstanceID, asked []NIC) []NIC {
	switch {
	case len(asked) == 1 && asked[0].Network == NoNetwork:
		return nil
	case len(asked) == 0:
		asked = make([]NIC, 1)
	}
	cards := make([]NIC, len(asked))
	for i, nic := range asked {
		if nic.MAC == "" {
			nic.MAC = MACAddress(id, i)
		}
		cards[i] = nic
	}
	return cards
}
