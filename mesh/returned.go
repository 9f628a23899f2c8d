package mesh

import (
	"time"

	"grapevine/mesh/node"
)

// Return is what peers have told this agent of earlier lives of its host, and
// how much of the fleet it has taken in since.
type Return = node.Return

// Returned says how this agent's host has come back, as far as is known now.
func (m *Mesh) Returned() Return {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node.Returned(time.Now())
}

// Raise begins another epoch, soon: somebody has given up the host in this one.
func (m *Mesh) Raise() {
	m.do(func(time.Time) { m.node.Raise() })
}
