package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// guestFlags are the flags that say what an instance has beside its size, and
// what its guest is told at its first boot.
type guestFlags struct {
	networks, disks []string
	firmware        string
	toldFlags
}

func (g *guestFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&g.disks, "disk", nil, "further empty disk, of so many GiB; may be repeated")
	flags.StringVar(&g.firmware, "firmware", "", "bios or uefi (default: the host's choice, which is bios)")
	g.addIdentity(cmd, "one on the host's default network")
}

// addIdentity adds those of the flags that say who an instance is, and to whom
// it is connected where they do not.
func (g *guestFlags) addIdentity(cmd *cobra.Command, networks string) {
	flags := cmd.Flags()
	flags.StringArrayVar(&g.networks, "network", nil, "network card, NETWORK[,vlan=ID][,mac=ADDRESS]; may be repeated; none for no card (default: "+networks+")")
	g.toldFlags.add(cmd)
}

// fill puts what the flags say into a create.
func (g *guestFlags) fill(cmd *cobra.Command, c *fleet.Create) error {
	for _, network := range g.networks {
		nic, err := parseNIC(network)
		if err != nil {
			return usage(cmd, "--network %s: %v", network, err)
		}
		c.Networks = append(c.Networks, nic)
	}
	for _, disk := range g.disks {
		gib, err := strconv.ParseInt(disk, 10, 64)
		if err != nil {
			return usage(cmd, "--disk %q is not a number of GiB", disk)
		}
		c.Disks = append(c.Disks, fleet.Disk{SizeGiB: gib})
	}
	c.Firmware = fleet.Firmware(g.firmware)
	var err error
	c.Guest, err = g.toldFlags.guest(cmd)
	return err
}

// parseNIC reads NETWORK[,vlan=ID][,mac=ADDRESS].
func parseNIC(text string) (fleet.NIC, error) {
	parts := strings.Split(text, ",")
	nic := fleet.NIC{Network: parts[0]}
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		switch key {
		case "vlan":
			vlan, err := strconv.Atoi(value)
			if err != nil || vlan < 1 {
				return nic, fmt.Errorf("vlan %q is not one of 1 to %d", value, fleet.MaxVLAN)
			}
			nic.VLAN = vlan
		case "mac":
			nic.MAC = strings.ToLower(value)
		default:
			return nic, fmt.Errorf("%q is not known; use vlan=ID or mac=ADDRESS", part)
		}
	}
	return nic, nil
}
