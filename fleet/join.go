package fleet

import (
	"fmt"
	"time"
)

// The bounds of join tokens, and of what is issued for one.
const (
	// DefaultJoinTTL is how long a join token may be used, MaxJoinTTL how long at
	// most.
	DefaultJoinTTL = time.Hour
	MaxJoinTTL     = 7 * 24 * time.Hour
	// MaxJoinTokens is how many a node keeps at once.
	MaxJoinTokens = 1000
	// MaxRequestBytes bounds a certificate request, MaxCertificateHosts the names
	// and addresses in it.
	MaxRequestBytes     = 8 << 10
	MaxCertificateHosts = 16
	// CertificateLife is how long a certificate is valid that a node issues, unless
	// its certificate_life says otherwise: renewed after two thirds of it, a node
	// may be out of reach of every CA for a month. MinCertificateLife leaves 20
	// minutes to find one.
	CertificateLife    = 90 * 24 * time.Hour
	MinCertificateLife = time.Hour
)

// MakeJoinToken asks for a join token.
type MakeJoinToken struct {
	Role Role `json:"role,omitempty" enum:"agent,registry" doc:"what may join with it; agent when left out"`
	// HostID restores the identity of a host that was installed anew.
	HostID     HostID `json:"host_id,omitzero" doc:"id of a host whose identity it restores; left out: a new one"`
	TTLSeconds int64  `json:"ttl_s,omitempty" doc:"how long it may be used, in seconds; an hour when left out, a week at most"`
}

// Validate judges the question, with its defaults filled in.
func (m *MakeJoinToken) Validate() error {
	if m.Role == "" {
		m.Role = RoleAgent
	}
	if m.TTLSeconds == 0 {
		m.TTLSeconds = int64(DefaultJoinTTL / time.Second)
	}
	switch {
	case m.Role != RoleAgent && m.Role != RoleRegistry:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("role %.40q is neither agent nor registry", string(m.Role))}
	case m.TTLSeconds < 1 || m.TTLSeconds > int64(MaxJoinTTL/time.Second):
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("a join token cannot be good for %d s; give 1 s to %s", m.TTLSeconds, MaxJoinTTL)}
	default:
		return nil
	}
}

// JoinTokenRow is a join token as it is listed: without its secret, which the
// node that made it does not have either.
type JoinTokenRow struct {
	ID        string    `json:"id"`
	Role      Role      `json:"role"`
	HostID    HostID    `json:"host_id,omitzero"`
	By        string    `json:"by"`
	ExpiresAt time.Time `json:"expires_at"` // by the clock of the node that made it
}

// JoinToken is a join token that has just been made.
type JoinToken struct {
	JoinTokenRow
	Token string `json:"token" doc:"to be given to grapevine join; it is shown once"`
}

// Trust is what a node shows to those who do not trust it yet: they compare the
// hash of a root with that in their token.
type Trust struct {
	Fleet string `json:"fleet"`
	CA    string `json:"ca" doc:"the fleet's roots, PEM"`
}

// Join asks to be let in.
type Join struct {
	Token  string `json:"token" doc:"id of the join token"`
	Secret string `json:"secret" doc:"its secret"`
	HostID HostID `json:"host_id,omitzero" doc:"id that the hardware gives to a new host; left out: any"`
	CSR    string `json:"csr" doc:"certificate request with the new key, name and addresses, PEM"`
}

// Joined is what makes a node a member of its fleet, but for its key, which
// never left it.
type Joined struct {
	Fleet       string   `json:"fleet"`
	ID          UUID     `json:"id"`
	Role        Role     `json:"role"`
	Certificate string   `json:"certificate" doc:"with what leads to a root, PEM"`
	CA          string   `json:"ca" doc:"the fleet's roots, PEM"`
	GossipKeys  []string `json:"gossip_keys,omitempty" doc:"base64, the one in use first"`
	Join        []string `json:"join,omitempty" doc:"members to join through, host:port"`
}

// RenewCertificate asks for another certificate of the caller's own subject.
type RenewCertificate struct {
	CSR string `json:"csr" doc:"certificate request with the new key, name and addresses, PEM"`
}
