package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// toldFlags are the flags that say what an instance's guest is told by
// cloud-init.
type toldFlags struct {
	keyFiles                       []string
	hostname, userData, networkCfg string
}

func (f *toldFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.hostname, "hostname", "", "host name that the guest is told (default: made from its name)")
	flags.StringVar(&f.userData, "user-data", "", "file with cloud-init's user data, - for standard input")
	flags.StringArrayVar(&f.keyFiles, "ssh-key", nil, "file with public keys for the image's default user; may be repeated")
	flags.StringVar(&f.networkCfg, "network-config", "", "file with cloud-init's network configuration (default: DHCP on every card)")
}

// guest reads what the flags name.
func (f *toldFlags) guest(cmd *cobra.Command) (g fleet.Guest, err error) {
	g.Hostname = f.hostname
	if g.UserData, err = readText(cmd, f.userData); err != nil {
		return g, fmt.Errorf("read --user-data: %w", err)
	}
	if g.NetworkConfig, err = readText(cmd, f.networkCfg); err != nil {
		return g, fmt.Errorf("read --network-config: %w", err)
	}
	for _, file := range f.keyFiles {
		text, err := readText(cmd, file)
		if err != nil {
			return g, fmt.Errorf("read --ssh-key: %w", err)
		}
		keys := sshKeys(text)
		if len(keys) == 0 {
			return g, fmt.Errorf("read --ssh-key: %s has no public key in it", file)
		}
		g.SSHKeys = append(g.SSHKeys, keys...)
	}
	return g, nil
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
