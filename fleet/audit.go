package fleet

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"
)

// AuditEntry is one line of the log that an agent keeps of what it was asked to
// change. Entries are numbered from 1 without gaps, and each bears the hash of the
// one before it: one that is changed, taken out or put in afterwards shows.
type AuditEntry struct {
	// Form is how the hash is made; a reader that does not know it can check nothing.
	Form   int    `json:"form"`
	Number uint64 `json:"number"`
	// Before is the hash of the entry before, empty for the first; Hash is this
	// one's. Both are 64 hexadecimal digits.
	Before string `json:"before,omitempty"`
	Hash   string `json:"hash"`
	// At is the host's wall clock in whole milliseconds, for people alone, and
	// Version what the host had published by then.
	At      time.Time `json:"at"`
	Version Version   `json:"version"`
	// Who asked the agent, and For whom, where that was a registry which passed it on.
	Who Asker  `json:"who"`
	For *Asker `json:"for,omitempty"`
	// Route is the method and the path's pattern, Subject what stands in the path for
	// the id, or the id of what was begun.
	Route     string `json:"route"`
	Subject   string `json:"subject,omitempty"`
	Operation string `json:"operation,omitempty"`
	// Request is a SHA-256 over method, target and the JSON body as they were sent.
	// The body itself is not kept: it may hold secrets.
	Request string `json:"request,omitempty"`
	// Status is that of the answer, 0 where that was not known yet. Code is accepted,
	// begun, or that of the refusal.
	Status int    `json:"status,omitempty"`
	Code   string `json:"code"`
	// Times is of how many requests the entry tells; Of is the number of the entry
	// that it goes on from, 0 for none.
	Times uint64 `json:"times"`
	Of    uint64 `json:"of,omitempty"`
}

// The codes of entries that tell of no refusal.
const (
	// AuditAccepted: what was promised is durable with the entry itself.
	AuditAccepted = "accepted"
	// AuditBegun: the entry was written before it was begun. If it failed, another
	// entry says so.
	AuditBegun = "begun"
)

// AuditForm is the form of the entries of this release.
const AuditForm = 1

// Asker is who asks, as the node has established it that was asked.
type Asker struct {
	Role    string `json:"role,omitempty"`
	Name    string `json:"name,omitempty"`
	ID      UUID   `json:"id,omitzero"`       // of the certificate, zero for none
	Address string `json:"address,omitempty"` // from which, host:port
}

// String says it for people.
func (a Asker) String() string {
	out := strings.TrimSpace(a.Role + " " + a.Name)
	if out == "" {
		out = "nobody"
	}
	if a.Address != "" {
		out += " from " + a.Address
	}
	return out
}

// Bounded returns an asker whose texts are valid and of bounded length.
func (a Asker) Bounded() Asker {
	a.Role, a.Name, a.Address = AuditText(a.Role, MaxAuditTextBytes), AuditText(a.Name, MaxAuditTextBytes), AuditText(a.Address, MaxAuditTextBytes)
	return a
}

// AuditText makes a text fit for an entry: valid UTF-8 of bounded length.
func AuditText(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}

// Encode writes an asker as a header may carry it.
func (a Asker) Encode() string {
	a = a.Bounded()
	out := url.Values{"role": {a.Role}, "name": {a.Name}, "address": {a.Address}}
	if !a.ID.IsZero() {
		out.Set("id", a.ID.String())
	}
	return out.Encode()
}

// ParseAsker reads what Encode wrote.
func ParseAsker(text string) (Asker, error) {
	if len(text) > 4*MaxAuditTextBytes*3 {
		return Asker{}, errors.New("it is too long")
	}
	fields, err := url.ParseQuery(text)
	if err != nil {
		return Asker{}, err
	}
	a := Asker{Role: fields.Get("role"), Name: fields.Get("name"), Address: fields.Get("address")}
	if id := fields.Get("id"); id != "" {
		if a.ID, err = ParseUUID(id); err != nil {
			return Asker{}, err
		}
	}
	return a.Bounded(), nil
}

type askerKey struct{}

// OnBehalf returns a context whose requests to agents say for whom they are made.
func OnBehalf(ctx context.Context, who Asker) context.Context {
	return context.WithValue(ctx, askerKey{}, who)
}

// BehalfOf returns for whom a request is made; false where nobody said.
func BehalfOf(ctx context.Context) (Asker, bool) {
	who, ok := ctx.Value(askerKey{}).(Asker)
	return who, ok
}

// AuditLink names an entry by number and hash. A zero one stands before the first.
type AuditLink struct {
	Number uint64 `json:"number"`
	Hash   string `json:"hash,omitempty"`
}

// Link returns the entry's name.
func (e *AuditEntry) Link() AuditLink { return AuditLink{e.Number, e.Hash} }

// AuditQuery asks for a page of a host's log: the entries after After, the oldest
// first, or, where that is nil, those before Before (0: from the end), the newest
// first. The other fields filter.
type AuditQuery struct {
	After  *uint64
	Before uint64
	Limit  int // 0: MaxAuditPage
	// Since compares with the host's wall clock. Who is part of a role, a name, an id
	// or an address, Subject the beginning of a subject.
	Since   time.Time
	Who     string
	Subject string
}

// Matches reports whether an entry passes the query's filters.
func (q *AuditQuery) Matches(e *AuditEntry) bool {
	return !e.At.Before(q.Since) && strings.HasPrefix(e.Subject, q.Subject) && (e.Who.has(q.Who) || e.For != nil && e.For.has(q.Who))
}

func (a *Asker) has(text string) bool {
	return strings.Contains(a.Role+" "+a.Name+" "+a.ID.String()+" "+a.Address, text)
}

// AuditPage is a page of a host's log.
type AuditPage struct {
	Host     HostID `json:"host"`
	HostName string `json:"host_name"`
	// Begin is the last entry that is not kept any more: the log begins after it.
	// Head is the newest one.
	Begin AuditLink    `json:"begin"`
	Head  AuditLink    `json:"head"`
	Items []AuditEntry `json:"items"`
	// Next is the number to go on from, after or before it; 0 when there is no more.
	Next uint64 `json:"next,omitempty"`
}

// AuditHeard is the name of an entry that a node has heard of by the mesh.
type AuditHeard struct {
	AuditLink
	Node     UUID   `json:"node"`
	NodeName string `json:"node_name"`
}

// AuditHeads is what nodes have heard of a host's log, some entries of each node.
// A node forgets it when it ends, but for what its copy of the fleet has.
type AuditHeads struct {
	Host  HostID       `json:"host"`
	Items []AuditHeard `json:"items"`
	// Nodes says how many other nodes were asked, and how many answered.
	Nodes Coverage `json:"nodes"`
}
