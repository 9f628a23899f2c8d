package registry

import (
	"cmp"
	"context"

	"grapevine/api"
	"grapevine/fleet"
)

// OpenConsole implements api.Core: the instance's host issues the ticket, and
// whoever gets it goes there. No console passes through a registry.
func (c *core) OpenConsole(ctx context.Context, id fleet.InstanceID, ask fleet.OpenConsole, _ api.Principal) (fleet.ConsoleTicket, error) {
	row, err := c.Instance(ctx, id)
	if err != nil {
		return fleet.ConsoleTicket{}, cmp.Or(c.notReady(), err)
	}
	peer, err := c.Peer(row.Host)
	if err != nil {
		return fleet.ConsoleTicket{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ticket, err := peer.OpenConsole(ctx, id, ask)
	return ticket, c.ReadError(row.Host, err)
}
