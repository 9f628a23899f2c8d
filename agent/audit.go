package agent

import (
	"context"
	"time"

	"grapevine/agent/journal"
	"grapevine/api"
	"grapevine/fleet"
)

// auditor is the agent as its own API sees it, which has what is asked noted down.
type auditor Agent

var _ api.Auditor = (*auditor)(nil)

// noteKey is where a request's context has its entry of the audit log.
type noteKey struct{}

// noteOf returns the entry of the request that ctx is of, nil for none: what the
// agent does by itself is nobody's request.
func noteOf(ctx context.Context) *journal.Note {
	n, _ := ctx.Value(noteKey{}).(*journal.Note)
	return n
}

// promises returns the journal as it is to be written on behalf of a request.
func (a *Agent) promises(ctx context.Context) *journal.Journal {
	return a.journal.Carrying(noteOf(ctx))
}

// promised is promises for the beginning of an operation, whose id the entry
// tells. A request may begin several: each has an entry of its own.
func (a *Agent) promised(ctx context.Context, op *journal.Operation) *journal.Journal {
	n := noteOf(ctx)
	if n == nil {
		return a.journal
	}
	own := n.Further()
	own.Entry.Operation = op.ID
	if own.Entry.Subject == "" && !op.Instance.IsZero() {
		own.Entry.Subject = op.Instance.String()
	}
	return a.journal.Carrying(own)
}

// Audit implements api.Auditor.
func (a *auditor) Audit(ctx context.Context, e fleet.AuditEntry, ahead bool) (context.Context, error) {
	e.Version = a.mesh.Replica().Version(a.hostID)
	n := &journal.Note{Entry: e}
	if ahead {
		n.Entry.Code = fleet.AuditBegun
		if err := a.journal.WriteNote(n); err != nil {
			return ctx, errorf(fleet.CodeInternal, "%s was not begun, since host %s could not write that it was asked for: %v", e.Route, a.cfg.Name, err)
		}
	}
	return context.WithValue(ctx, noteKey{}, n), nil
}

// Answered implements api.Auditor. What was never written promised nothing, and
// has no entry, unless it was open to everybody and was done.
func (a *auditor) Answered(ctx context.Context, status int, code string) {
	n := noteOf(ctx)
	if n == nil {
		return
	}
	e := n.Entry
	e.At, e.Status, e.Code, e.Of = time.Now(), status, code, n.Written()
	if (e.Of == 0) != (code == fleet.AuditAccepted) {
		return
	}
	if _, err := a.journal.Audit(e); err != nil {
		a.log.Error("audit entry not written", "route", e.Route, "who", e.Who.String(), "status", status, "error", err)
	}
}

// Audit implements view.Local for this host.
func (l *local) Audit(_ context.Context, id fleet.HostID, q fleet.AuditQuery) (fleet.AuditPage, error) {
	a := (*Agent)(l)
	if err := a.mine(id); err != nil {
		return fleet.AuditPage{}, err
	}
	page, err := a.journal.AuditPage(q)
	if err != nil {
		return fleet.AuditPage{}, errorf(fleet.CodeInternal, "read the audit log of host %s: %v", a.name(), err)
	}
	page.Host, page.HostName = a.hostID, a.name()
	return page, nil
}

// auditShown is when the head of the log was taken into the host's row last.
type auditShown struct {
	at time.Time // guarded by publishing
}

// showAudit takes the log's head into the row that is about to be published,
// unless it did so a moment ago: whoever changes much has its row sent with each
// change no more often for it. The caller holds publishing.
func (a *Agent) showAudit(now time.Time) {
	if !a.audits.at.IsZero() && now.Sub(a.audits.at) < fleet.AuditHeadEvery || !a.auditUnshown() {
		return
	}
	head := a.journal.AuditHead()
	a.state.mu.Lock()
	a.state.base.Audit = &head
	a.state.mu.Unlock()
	a.audits.at = now
}

// auditUnshown reports whether the log has gone on since its head was published.
func (a *Agent) auditUnshown() bool {
	head := a.journal.AuditHead()
	a.state.mu.Lock()
	defer a.state.mu.Unlock()
	return head.Number > 0 && (a.state.base.Audit == nil || *a.state.base.Audit != head)
}
