package view

import (
	"context"
	"fmt"

	"grapevine/fleet"
)

// Audit asks a host for a page of what it was asked to change.
func (v *View) Audit(ctx context.Context, id fleet.HostID, q fleet.AuditQuery) (fleet.AuditPage, error) {
	if _, err := v.Host(ctx, id); err != nil {
		return fleet.AuditPage{}, err
	}
	if v.cfg.Local != nil && !v.isLocal(id) {
		return fleet.AuditPage{}, &fleet.Error{Code: fleet.CodeMisdirected, Detail: fmt.Sprintf("an agent reads the audit log of its own host alone; ask a registry, or the agent of host %s", v.HostName(id))}
	}
	return ask(ctx, v, id, func(ctx context.Context, at Local) (fleet.AuditPage, error) { return at.Audit(ctx, id, q) })
}
