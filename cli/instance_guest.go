package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// guestFlags are the flags that say what an instance has beside its size, and
// what its guest is told at its first boot.
type guestFlags struct {
	networks, disks, keyFiles      []string
	firmware                       string
	hostname, userData, networkCfg string
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
	flags.StringVar(&g.hostname, "hostname", "", "host name that the guest is told (default: made from its name)")
	flags.StringVar(&g.userData, "user-data", "", "file with cloud-init's user data, - for standard input")
	flags.StringArrayVar(&g.keyFiles, "ssh-key", nil, "file with public keys for the image's default user; may be repeated")
	flags.StringVar(&g.networkCfg, "network-config", "", "file with cloud-init's network configuration (default: DHCP on every card)")
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
	c.Firmware, c.Hostname = fleet.Firmware(g.firmware), g.hostname
	var err error
	if c.UserData, err = readText(cmd, g.userData); err != nil {
		return fmt.Errorf("read --user-data: %w", err)
	}
	if c.NetworkConfig, err = readText(cmd, g.networkCfg); err != nil {
		return fmt.Errorf("read --network-config: %w", err)
	}
	for _, file := range g.keyFiles {
		text, err := readText(cmd, file)
		if err != nil {
			return fmt.Errorf("read --ssh-key: %w", err)
		}
		keys := sshKeys(text)
		if len(keys) == 0 {
			return fmt.Errorf("read --ssh-key: %s has no public key in it", file)
		}
		c.SSHKeys = append(c.SSHKeys, keys...)
	}
	return nil
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

// sshKeys are the keys of a file as authorized_keys is one: without blank lines
// and comments.
func sshKeys(text string) []string {
	var keys []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	return keys
}

// readText reads a small file, or standard input for -; nothing for no name.
func readText(cmd *cobra.Command, name string) (string, error) {
	if name == "" {
		return "", nil
	}
	from := cmd.InOrStdin()
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		defer file.Close()
		from = file
	}
	content, err := io.ReadAll(io.LimitReader(from, fleet.MaxGuestBytes+1))
	if err != nil {
		return "", err
	}
	if len(content) > fleet.MaxGuestBytes {
		return "", fmt.Errorf("%s is longer than %d bytes", name, fleet.MaxGuestBytes)
	}
	if len(content) == 0 {
		return "", errors.New(name + " is empty")
	}
	return string(content), nil
}
