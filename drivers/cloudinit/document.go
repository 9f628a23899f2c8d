// Package cloudinit writes what a guest's cloud-init reads at first boot, in
// the two forms in which hypervisors can hand it over: a NoCloud seed, which is
// an ISO 9660 image with the label cidata, and VMware's guestinfo options. Both
// say the same. See the data sources NoCloud and VMware in cloud-init's manual.
package cloudinit

import (
	"encoding/json"
	"fmt"

	"grapevine/drivers"
	"grapevine/fleet"
)

// Document is all that cloud-init gets to know of a machine.
type Document struct {
	instanceID string
	guest      fleet.Guest
	cards      []fleet.NIC
}

// Of returns the document of a machine that is to be built. Cards are those
// that it really gets.
func Of(spec *drivers.Spec, cards []fleet.NIC) Document {
	d := Document{instanceID: instanceID(&spec.Mark), guest: spec.Guest, cards: cards}
	if d.guest.Hostname == "" {
		d.guest.Hostname = fleet.HostnameOf(spec.Mark.Name)
	}
	if d.guest.Hostname == "" {
		d.guest.Hostname = "instance-" + d.instanceID[:8]
	}
	return d
}

// instanceID is another one after each rebuild: cloud-init does again what it
// does once for an instance when it sees another id.
func instanceID(mark *drivers.Mark) string {
	if mark.Rebuilt == 0 {
		return mark.ID.String()
	}
	return fmt.Sprintf("%s-%d", mark.ID, mark.Rebuilt)
}

// metadata is cloud-init's meta-data. JSON is YAML, which it reads.
type metadata struct {
	InstanceID    string   `json:"instance-id"`
	LocalHostname string   `json:"local-hostname"`
	PublicKeys    []string `json:"public-keys,omitempty"`
	// Network is for guestinfo only; a seed has a file of its own for it.
	Network         string `json:"network,omitempty"`
	NetworkEncoding string `json:"network.encoding,omitempty"`
}

func (d *Document) metadata() metadata {
	return metadata{InstanceID: d.instanceID, LocalHostname: d.guest.Hostname, PublicKeys: d.guest.SSHKeys}
}

// noUserData is what is said where there is nothing to say.
const noUserData = "#cloud-config\n{}\n"

// userData is never empty: cloud-init takes a seed without it for none.
func (d *Document) userData() string {
	if d.guest.UserData == "" {
		return noUserData
	}
	return d.guest.UserData
}

// network is version 2 of cloud-init's network configuration.
type network struct {
	Version   int                 `json:"version"`
	Ethernets map[string]ethernet `json:"ethernets"`
}

type ethernet struct {
	Match struct {
		MAC string `json:"macaddress"`
	} `json:"match"`
	DHCP4 bool `json:"dhcp4"`
	// Optional ones do not hold up the boot where nobody answers.
	Optional bool `json:"optional,omitempty"`
}

// networkConfig is what was asked for or, for nothing, DHCP on each card: left
// alone, cloud-init would bring up the first one only. It is empty where there
// is no card.
func (d *Document) networkConfig() (string, error) {
	if d.guest.NetworkConfig != "" || len(d.cards) == 0 {
		return d.guest.NetworkConfig, nil
	}
	n := network{Version: 2, Ethernets: map[string]ethernet{}}
	for i, card := range d.cards {
		e := ethernet{DHCP4: true, Optional: i > 0}
		e.Match.MAC = card.MAC
		n.Ethernets[fmt.Sprintf("nic%d", i)] = e
	}
	return text(n)
}

// text is a value as JSON, with a line feed at its end.
func text(v any) (string, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return "", fmt.Errorf("encode cloud-init document: %w", err)
	}
	return string(b) + "\n", nil
}
