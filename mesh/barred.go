package mesh

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/hashicorp/memberlist"

	"grapevine/fleet"
)

// A member that is barred has the key of the gossip still, and says that it is
// alive. So nobody sends it anything: it answers no probe, fails, and what it says
// of itself from then on is not taken. Until then, and wherever else it is
// listed, it counts as failed.

// errBarred is of a member that was revoked.
var errBarred = errors.New("it was revoked")

func (c *Config) bars(id fleet.UUID) bool { return c.Barred != nil && id != c.ID && c.Barred(id) }

// barsName is bars by a member's name in the gossip.
func (c *Config) barsName(name string) bool {
	id, err := fleet.ParseUUID(name)
	return err == nil && c.bars(id)
}

// Bar looks again at who is barred.
func (m *Mesh) Bar() {
	list := m.sortedMembers()
	m.do(func(now time.Time) { m.node.Members(list, now) })
}

// gate keeps barred members out of the gossip.
type gate struct {
	memberlist.NodeAwareTransport
	cfg *Config
}

var _ memberlist.AliveDelegate = (*gate)(nil)

// NotifyAlive implements memberlist.AliveDelegate.
func (g *gate) NotifyAlive(peer *memberlist.Node) error {
	if g.cfg.barsName(peer.Name) {
		return fmt.Errorf("member %s at %s is not taken: %w", peer.Name, peer.Address(), errBarred)
	}
	return nil
}

// WriteToAddress implements memberlist.NodeAwareTransport. As on any network,
// that a packet is lost is no error.
func (g *gate) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	if g.cfg.barsName(to.Name) {
		return time.Now(), nil
	}
	return g.NodeAwareTransport.WriteToAddress(b, to)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (g *gate) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if g.cfg.barsName(to.Name) {
		return nil, fmt.Errorf("dial %s: %w", to.Addr, errBarred)
	}
	return g.NodeAwareTransport.DialAddressTimeout(to, timeout)
}
