package fleet

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Guest is what cloud-init finds at a guest's first boot. It may hold secrets:
// it is kept only where the guest itself can read it, and never published.
type Guest struct {
	// Hostname is the guest's own name, RFC 1123; one made from the instance's
	// name when empty.
	Hostname string `json:"hostname,omitempty"`
	// UserData is cloud-init's user-data: a #cloud-config document, a script, or
	// a MIME archive of several.
	UserData string `json:"user_data,omitempty"`
	// SSHKeys are lines as in authorized_keys, for the image's default user.
	SSHKeys []string `json:"ssh_keys,omitempty"`
	// NetworkConfig is cloud-init's network-config, version 1 or 2. When empty,
	// every network card asks for an IPv4 address by DHCP.
	NetworkConfig string `json:"network_config,omitempty"`
}

// IsZero reports whether nothing is asked for.
func (g *Guest) IsZero() bool {
	return g.Hostname == "" && g.UserData == "" && len(g.SSHKeys) == 0 && g.NetworkConfig == ""
}

var hostLabel = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`)

// Validate judges what a person sent. Errors do not repeat it: it may be secret.
func (g *Guest) Validate() error {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf(format, args...)}
	}
	if g.Hostname != "" {
		if len(g.Hostname) > MaxHostnameBytes {
			return bad("hostname is %d bytes long; at most %d are allowed", len(g.Hostname), MaxHostnameBytes)
		}
		for label := range strings.SplitSeq(g.Hostname, ".") {
			if !hostLabel.MatchString(label) {
				return bad("hostname %q is not one: use letters, digits, - and . as in RFC 1123", g.Hostname)
			}
		}
	}
	size := len(g.UserData) + len(g.NetworkConfig)
	for i, key := range g.SSHKeys {
		size += len(key)
		if strings.ContainsAny(key, "\r\n\x00") || len(strings.Fields(key)) < 2 {
			return bad("ssh key %d is not one line as in authorized_keys, such as: ssh-ed25519 AAAA... name", i+1)
		}
		if strings.Contains(key, "PRIVATE KEY") {
			return bad("ssh key %d is a private key; give the public one", i+1)
		}
	}
	switch {
	case len(g.SSHKeys) > MaxSSHKeys:
		return bad("%d ssh keys; at most %d are allowed", len(g.SSHKeys), MaxSSHKeys)
	case size > MaxGuestBytes:
		return bad("user data, ssh keys and network config are %d bytes in all; at most %d are allowed", size, MaxGuestBytes)
	case !utf8.ValidString(g.UserData), !utf8.ValidString(g.NetworkConfig):
		return bad("user data or network config is not text in UTF-8; compressed user data is not taken")
	case strings.ContainsRune(g.UserData, 0), strings.ContainsRune(g.NetworkConfig, 0):
		return bad("user data or network config has a zero byte; it must be text")
	}
	return nil
}

// HostnameOf makes a host name from an instance's name: lower case, and - for
// what a host name cannot have. Empty where nothing is left.
func HostnameOf(name string) string {
	fit := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		default:
			return '-'
		}
	}, name)
	const most = 63 // of one label, RFC 1035
	return strings.Trim(fit[:min(len(fit), most)], "-")
}
