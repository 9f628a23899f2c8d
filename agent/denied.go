package agent

import (
	"cmp"
	"context"
	"net"
	"slices"
	"sync"

	"grapevine/fleet"
	"grapevine/internal/pause"
)

// denied gathers what was refused for want of rights, until it is written: a few
// entries every few minutes, however often somebody knocks.
type denied struct {
	mu   sync.Mutex
	seen map[string]*fleet.AuditEntry // guarded by mu: by what makes two of them one
	more uint64                       // guarded by mu: of the requests past maxDenied kinds
}

// maxDenied bounds the kinds of refusals that are told apart at one time: 256 of
// at most 3 KiB.
const maxDenied = 256

// add notes one more.
func (d *denied) add(e fleet.AuditEntry) {
	host, _, err := net.SplitHostPort(e.Who.Address)
	if err == nil {
		e.Who.Address = host // each connection has a port of its own
	}
	key := e.Who.String() + "\x00" + e.Who.ID.String() + "\x00" + e.Route + "\x00" + e.Code
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = map[string]*fleet.AuditEntry{}
	}
	held := d.seen[key]
	switch {
	case held != nil:
		held.Times++
		held.At = e.At
	case len(d.seen) == maxDenied:
		d.more++
	default:
		e.Times = 1
		e.Subject = "" // of one of many
		d.seen[key] = &e
	}
}

// take returns what is to be written, most frequent first: at most
// fleet.AuditRefusals entries, the last of which is of all others together.
func (d *denied) take() []fleet.AuditEntry {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []fleet.AuditEntry
	for _, e := range d.seen {
		all = append(all, *e)
	}
	more := d.more
	d.seen, d.more = nil, 0
	slices.SortFunc(all, func(a, b fleet.AuditEntry) int {
		return cmp.Or(cmp.Compare(b.Times, a.Times), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Who.String(), b.Who.String()))
	})
	if len(all) < fleet.AuditRefusals && more == 0 {
		return all
	}
	rest := fleet.AuditEntry{At: all[0].At, Route: "others", Code: string(fleet.CodeForbidden), Times: more}
	for _, e := range all[fleet.AuditRefusals-1:] {
		rest.Times += e.Times
	}
	return append(all[:fleet.AuditRefusals-1], rest)
}

// Denied implements api.Auditor.
func (a *auditor) Denied(e fleet.AuditEntry) {
	a.metrics.denied.Inc()
	a.denied.add(e)
}

// keepDenied writes them.
func (a *Agent) keepDenied(ctx context.Context) error {
	for pause.For(ctx, fleet.AuditRefusalsEvery) {
		a.writeDenied()
	}
	a.writeDenied()
	return nil
}

func (a *Agent) writeDenied() {
	entries := a.denied.take()
	if len(entries) == 0 {
		return
	}
	version := a.mesh.Replica().Version(a.hostID)
	for i := range entries {
		entries[i].Version = version
	}
	if _, err := a.journal.Audit(entries...); err != nil {
		a.log.Error("audit entries not written", "entries", len(entries), "error", err)
	}
}
