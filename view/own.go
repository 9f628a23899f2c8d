package view

import (
	"context"

	"grapevine/fleet"
)

// OwnHost returns this node's own host as its hypervisor shows it now. A node
// that speaks for another host, or for none, is CodeMisdirected.
func (v *View) OwnHost(ctx context.Context, id fleet.HostID) (fleet.Host, error) {
	if v.cfg.Local == nil {
		return fleet.Host{}, ownsNothing()
	}
	return v.cfg.Local.OwnHost(ctx, id)
}

// OwnInstance returns an instance of this node's own host as its hypervisor
// shows it now.
func (v *View) OwnInstance(ctx context.Context, id fleet.InstanceID) (fleet.Instance, error) {
	if v.cfg.Local == nil {
		return fleet.Instance{}, ownsNothing()
	}
	return v.cfg.Local.OwnInstance(ctx, id)
}

func ownsNothing() error {
	return &fleet.Error{Code: fleet.CodeMisdirected, Detail: "this node is a registry and has no host of its own; ask with fresh=required"}
}

// Own returns the row that this node's own host publishes of an instance, with
// what readers see laid over it; false where it publishes none.
func (v *View) Own(id fleet.InstanceID) (fleet.Instance, bool) {
	row := v.rowIn(v.cfg.Source.Replica().Block(v.cfg.Self), id)
	if row == nil {
		return fleet.Instance{}, false
	}
	return *row, true
}
