package mesh

import (
	"maps"
	"net"

	"github.com/hashicorp/serf/serf"
)

// news is what Serf's events last said of each member there, by Serf's name of
// it. It holds Serf's own maps, which do not change.
type news map[string]said

type said struct {
	addr net.IP
	port uint16
	tags map[string]string
}

// any reports whether an event tells of a change, and remembers it. An update
// may tell of none: whenever a member repeats that it is alive, Serf encodes
// its tags anew, in the order of a Go map, and memberlist compares their bytes.
func (n news) any(e serf.Event) bool {
	m, ok := e.(serf.MemberEvent)
	if !ok {
		return true
	}
	changed := m.Type != serf.EventMemberUpdate
	for _, of := range m.Members {
		last, known := n[of.Name]
		if !known || last.port != of.Port || !last.addr.Equal(of.Addr) || !maps.Equal(last.tags, of.Tags) {
			changed = true
		}
		switch m.Type {
		case serf.EventMemberJoin, serf.EventMemberUpdate:
			n[of.Name] = said{of.Addr, of.Port, of.Tags}
		default:
			delete(n, of.Name)
		}
	}
	return changed
}
