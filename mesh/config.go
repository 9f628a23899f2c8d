package mesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/prometheus/client_golang/prometheus"

	"grapevine/fleet"
	"grapevine/mesh/node"
	"grapevine/mesh/replica"
)

// The versions of the link protocol that this build speaks.
const (
	Protocol    = node.Protocol
	MinProtocol = node.MinProtocol
)

// The defaults of Config.
const (
	DefaultGossipPort    = 7946
	DefaultLinks         = 3
	DefaultRegistryLinks = 12
	DefaultMaxInbound    = 16
	// DefaultLabel is the fleet's label where none is configured.
	DefaultLabel = "grapevine"
	// ALPN is what both ends of a link's TLS connection ask for.
	ALPN = "grapevine-link/1"
)

// Config says who a member is, where it is reached and how it reaches others.
type Config struct {
	// ID is the host's id of an agent, and a random one of a registry.
	ID fleet.UUID
	// Name is the short host name, for people.
	Name string
	Role fleet.Role
	// Label keeps fleets apart: members of different labels never merge.
	// Empty means DefaultLabel.
	Label string
	// API is the advertised host:port of the HTTPS API, where an agent's links
	// are reached too.
	API string
	// GossipBind is the host:port to listen on, TCP and UDP; port 0 takes any
	// free one. GossipAdvertise is what others are told, where that differs;
	// its port may be left out or 0 to mean the bound one.
	GossipBind      string
	GossipAdvertise string
	// Key encrypts gossip: 16, 24 or 32 bytes; nil, only in tests, leaves it
	// in the clear.
	Key []byte
	// FurtherKeys are read with too, as during a rotation.
	FurtherKeys [][]byte
	// KeyringDir is where the keys are kept as they are changed while running,
	// so that they outlive the process; empty forgets them.
	KeyringDir string
	// SavedFleet is the file where what is held of the fleet is saved, so that
	// hosts that stay down are not forgotten when all go down; empty saves
	// nothing.
	SavedFleet string
	// SerfRPC is the loopback host:port at which the stock serf command is
	// answered, empty for nowhere, and SerfRPCSecret what it has to say.
	SerfRPC       string
	SerfRPCSecret string
	// Join lists members to join through: host names, addresses, either with a
	// port (DefaultGossipPort otherwise), or SRV names, which begin with an
	// underscore. They are tried for ever; unreachable ones are no error.
	Join []string
	// Issues says that this member holds a CA, so that others find it to have
	// their certificates renewed.
	Issues bool
	// Links is how many links to keep open to other agents, MaxInbound how
	// many to accept; 0 means the defaults. A registry accepts none.
	Links      int
	MaxInbound int
	// Epochs keeps the epoch durable. An agent must have it.
	Epochs EpochStore
	// Hardware fingerprints the machine, to tell a clone from a restart.
	Hardware string
	// Replaces is the fingerprint that an operator says the machine had before;
	// empty for none.
	Replaces string
	// Dial opens an authenticated stream to the agent peer at addr (TLS 1.3,
	// both certificates checked, ALPN). It must check that the other end's
	// certificate is peer's, unless peer is zero.
	Dial func(ctx context.Context, addr string, peer fleet.UUID) (net.Conn, error)
	// Seal returns by what an agent's blocks are proven: the credential that stands
	// in them, and what signs their heads by it. Verifier judges the blocks of all
	// others. Nil, only in tests, leaves blocks unsigned, or takes unsigned ones.
	Seal     func() (credential []byte, sign func(message []byte) []byte)
	Verifier replica.Verifier
	// Barred reports whether a member is to be taken for one that is gone, whatever
	// it says itself. Nil bars nobody. Call Bar when it may answer otherwise.
	Barred func(fleet.UUID) bool
	// Membership makes what says who is there, in place of Serf; nil means Serf.
	Membership func(Config) Membership
	// Log and Metrics may be nil.
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// EpochStore keeps an agent's epoch. Its methods may block on the disk.
type EpochStore interface {
	// LoadEpoch returns the last stored epoch and its incarnation, zero if
	// there is none.
	LoadEpoch() (epoch, incarnation uint64, err error)
	// StoreEpoch returns when the epoch will survive a crash.
	StoreEpoch(epoch, incarnation uint64) error
}

func (c *Config) withDefaults() Config {
	out := *c
	if out.Label == "" {
		out.Label = DefaultLabel
	}
	if out.Links == 0 {
		out.Links = DefaultLinks
		if out.Role == fleet.RoleRegistry {
			out.Links = DefaultRegistryLinks
		}
	}
	if out.MaxInbound == 0 {
		out.MaxInbound = DefaultMaxInbound
	}
	if out.Log == nil {
		out.Log = slog.New(slog.DiscardHandler)
	}
	return out
}

// validate judges a config with defaults filled in.
func (c *Config) validate() error {
	switch {
	case c.ID.IsZero():
		return errors.New("mesh: the member has no id")
	case c.Role != fleet.RoleAgent && c.Role != fleet.RoleRegistry:
		return fmt.Errorf("mesh: role %q is neither agent nor registry", c.Role)
	case c.Role == fleet.RoleAgent && c.Epochs == nil:
		return errors.New("mesh: an agent needs a store for its epoch")
	case c.Dial == nil:
		return errors.New("mesh: no way to dial links is given")
	case len(c.Label) > 64:
		return fmt.Errorf("mesh: the fleet's label is %d bytes long; use at most 64", len(c.Label))
	case c.Links < 0 || c.MaxInbound < 0:
		return fmt.Errorf("mesh: %d links and %d accepted links; both must be positive", c.Links, c.MaxInbound)
	}
	switch len(c.Key) {
	case 0, 16, 24, 32:
		return c.validateSerfRPC()
	default:
		return fmt.Errorf("mesh: the gossip key is %d bytes long; it must be 16, 24 or 32 (make one with: openssl rand -base64 32)", len(c.Key))
	}
}

// State is all that an agent says of its host. The images that the host holds
// are told by Images alone; Host.Images, versions and overlays are not looked
// at.
type State struct {
	Host      fleet.Host
	Instances []fleet.Instance
	Images    []fleet.Image
	// Records are those in the agent's journal.
	Records []fleet.Record
}
