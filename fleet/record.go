package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// RecordKind says what a record states. A reader passes over kinds that it does
// not know.
type RecordKind string

// The kinds of this release.
const (
	// DeclareDead: an operator states that a host is dead. It stays listed, and
	// what it had may be made elsewhere.
	DeclareDead RecordKind = "declare-dead"
	// Forget: an operator states that a host does not come back. Nothing of it
	// is listed or counted any more.
	Forget RecordKind = "forget"
	// DeleteIntent: an operator wants an instance deleted whose host cannot be
	// heard; the host does it when it is back.
	DeleteIntent RecordKind = "delete-intent"
	// MakeGroup and MakeKeyPair make an object of a project. EndGroup and
	// EndKeyPair end it, for ever.
	MakeGroup   RecordKind = "group"
	EndGroup    RecordKind = "end-group"
	MakeKeyPair RecordKind = "key-pair"
	EndKeyPair  RecordKind = "end-key-pair"
	// RevokeToken: one token of a person is taken no more. RevokeUser: nor is any
	// that a user got up to then.
	RevokeToken RecordKind = "revoke-token"
	RevokeUser  RecordKind = "revoke-user"
	// RevokeHost: a node's certificates are taken no more that it was enrolled for
	// up to then. A later enrolment lets it in again.
	RevokeHost RecordKind = "revoke-host"
	// TrustRoots: a list of the roots that the fleet trusts, which proves itself.
	TrustRoots RecordKind = "trust-roots"
)

// RecordKinds lists the kinds that this release knows.
func RecordKinds() []RecordKind {
	return []RecordKind{DeclareDead, Forget, DeleteIntent, MakeGroup, EndGroup, MakeKeyPair, EndKeyPair, RevokeToken, RevokeUser, RevokeHost, TrustRoots}
}

// IsDecision reports whether records of this kind say what became of a host.
func (k RecordKind) IsDecision() bool { return k == DeclareDead || k == Forget }

// Makes reports whether records of this kind make an object: a group or a key
// pair.
func (k RecordKind) Makes() bool { return k == MakeGroup || k == MakeKeyPair }

// IsObject reports whether records of this kind make an object, or end one.
func (k RecordKind) IsObject() bool { return k.Makes() || k == EndGroup || k == EndKeyPair }

// Revokes reports whether records of this kind revoke tokens of people.
func (k RecordKind) Revokes() bool { return k == RevokeToken || k == RevokeUser }

// Hostless reports whether records of this kind are about no version of a host.
func (k RecordKind) Hostless() bool {
	return k.IsObject() || k.Revokes() || k == RevokeHost || k == TrustRoots
}

// End returns the kind of the records that end what one of this kind made.
func (k RecordKind) End() RecordKind { return "end-" + k }

// RecordID names a record. It follows from what the record states, so that a
// request which is sent again makes no second one: see NameRecord.
type RecordID = UUID

// Record is a fact that no host owns: somebody's word, accepted by an agent and
// journalled there and at others before it was answered. It never changes.
type Record struct {
	ID   RecordID   `json:"id"`
	Kind RecordKind `json:"kind"`
	// Subject is the host that a decision is about, the instance of an intent, the
	// object that is made or ended, the token that is revoked.
	Subject UUID `json:"subject"`
	// Name is what people called the subject then.
	Name string `json:"name"`
	// Covers is the version that the acceptor held of the host concerned: the
	// subject of a decision, the host of an intent's instance. A decision covers
	// all of that epoch, and every epoch before it. Zero for an object: it is no
	// host's.
	Covers Version `json:"covers"`
	// Generation and CreatedAt are those of an intent's instance: another machine
	// that bears its id later is not the one that is meant. Of a revocation
	// CreatedAt is when it was asked for, a wall-clock time as those of tokens are.
	Generation uint64    `json:"generation,omitzero"`
	CreatedAt  time.Time `json:"created_at,omitzero"`
	// Project is that of an object. Policy is a group's, PublicKey a key pair's.
	Project   string      `json:"project,omitempty"`
	Policy    GroupPolicy `json:"policy,omitempty"`
	PublicKey string      `json:"public_key,omitempty"`
	// Trust is a list of roots, PEM, signed by roots.
	Trust string `json:"trust,omitempty"`
	// By is who decided, as the access layer of the node that was asked knows it.
	By string `json:"by"`
	// Why is in the words of whoever decided; empty for an object.
	Why string `json:"why"`
	// AcceptedAt is by the acceptor's wall clock, for people only.
	AcceptedAt time.Time `json:"accepted_at"`
	// Acceptor is the host whose agent made the record.
	Acceptor HostID `json:"acceptor"`
}

// recordSpace is the name space of the ids of records.
var recordSpace = UUID{0x3d, 0x90, 0x5b, 0x1e, 0x74, 0xc2, 0x4f, 0x0a, 0xa6, 0x18, 0x67, 0x72, 0x61, 0x70, 0x65, 0x32}

// NameRecord returns the id of the record that states what r does: one for each
// subject and covered epoch of a decision, one for each machine of an intent.
func NameRecord(r *Record) RecordID {
	name := fmt.Sprintf("%s/%s/%s/%d", r.Kind, r.Subject, r.Covers.Host, r.Covers.Epoch)
	switch {
	case r.Kind == RevokeHost: // one for each time that it is said
		name = fmt.Sprintf("%s/%s/%d", r.Kind, r.Subject, r.CreatedAt.UnixMilli())
	case r.Kind.Hostless():
		name = fmt.Sprintf("%s/%s", r.Kind, r.Subject)
	case !r.Kind.IsDecision():
		name = fmt.Sprintf("%s/%s/%s/%d/%d", r.Kind, r.Subject, r.Covers.Host, r.Generation, r.CreatedAt.UnixMilli())
	}
	return NewUUIDv5(recordSpace, name)
}

// Validate judges a record that another node sends. Kinds of later versions are
// not accepted: what they mean cannot be judged here.
func (r *Record) Validate() error {
	switch {
	case !slices.Contains(RecordKinds(), r.Kind):
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("records of kind %.40q are not known here; upgrade this node", string(r.Kind))}
	case r.Subject.IsZero(), r.Acceptor.IsZero(), r.Covers.Host.IsZero() != r.Kind.Hostless():
		return &Error{Code: CodeInvalid, Detail: "the record names no subject, no acceptor, or not the host that a record of its kind is about"}
	case r.Kind.IsDecision() && r.Subject != r.Covers.Host:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("the decision is about host %s and covers a version of host %s", r.Subject, r.Covers.Host)}
	case r.ID != NameRecord(r):
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("the record's id is %s, and what it states has the id %s", r.ID, NameRecord(r))}
	case len(r.By) > MaxRecordNameBytes, len(r.Name) > MaxRecordNameBytes:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("a name in the record is longer than %d bytes", MaxRecordNameBytes)}
	}
	switch {
	case r.Kind.IsObject():
		return r.validateObject()
	case r.Kind.Revokes():
		return r.validateRevocation()
	case r.Kind == RevokeHost && r.CreatedAt.IsZero():
		return &Error{Code: CodeInvalid, Detail: "the revocation does not say when it was asked for"}
	case r.Kind == TrustRoots && (len(r.Trust) > MaxTrustBytes || r.Subject != NameTrust(r.Trust)), r.Kind != TrustRoots && r.Trust != "":
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("the list of roots is longer than %d bytes, is not the one that the record is about, or has no place in a record of its kind", MaxTrustBytes)}
	}
	return CheckReason(r.Why)
}

// validateObject judges what makes an object, or ends it.
func (r *Record) validateObject() error {
	if err := CheckName("project", r.Project); err != nil {
		return err
	}
	switch r.Kind {
	case MakeGroup:
		return (&CreateGroup{Name: r.Name, Policy: r.Policy}).Validate()
	case MakeKeyPair:
		return (&CreateKeyPair{Name: r.Name, PublicKey: r.PublicKey}).Validate()
	default:
		return CheckName("name", r.Name)
	}
}

// validateRevocation judges a revocation, whose time says when it may be dropped.
func (r *Record) validateRevocation() error {
	if r.CreatedAt.IsZero() || r.Name == "" && r.Kind == RevokeUser {
		return &Error{Code: CodeInvalid, Detail: "the revocation names no user, or does not say when it was asked for"}
	}
	return nil
}

// CheckReason judges the reason that a person gave for a record.
func CheckReason(why string) error {
	switch {
	case strings.TrimSpace(why) == "":
		return &Error{Code: CodeInvalid, Detail: "the reason is empty; say in a few words why, for whoever wonders later"}
	case len(why) > MaxReasonBytes:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("the reason is %d bytes long; use at most %d", len(why), MaxReasonBytes)}
	case !utf8.ValidString(why), strings.ContainsFunc(why, unicode.IsControl):
		return &Error{Code: CodeInvalid, Detail: "the reason has a control character or is not valid UTF-8; use one line of text"}
	}
	return nil
}

// Means reports whether an intent means the machine that a row of its host
// shows: the same instance at the same host, of the same generation and made at
// the same time by that host's own clock. An intent that saw nothing but a claim
// (generation 0) means also what was built on it.
func (r *Record) Means(row *Instance) bool {
	return r.Kind == DeleteIntent && r.Subject == row.ID && r.Covers.Host == row.Host && row.Ownership == Managed &&
		(r.Generation == 0 || r.Generation == row.Generation) && r.CreatedAt.UnixMilli() == row.CreatedAt.UnixMilli()
}

// RecordStanding is what a record does at the node that shows it.
type RecordStanding string

// The standings.
const (
	// RecordStands: it says what is so.
	RecordStands RecordStanding = "stands"
	// RecordSuperseded: another record about the same says as much, or more; an
	// object has been ended.
	RecordSuperseded RecordStanding = "superseded"
	// RecordSpent: its host published since what makes it empty: a later epoch,
	// for a decision, or that the instance of an intent is gone. The end of an
	// object is spent when no block bears what made it.
	RecordSpent RecordStanding = "spent"
)

// RecordRow is a record with what the answering node knows of it.
type RecordRow struct {
	Record
	Standing RecordStanding `json:"standing"`
	// Holders are the hosts whose blocks bear it, by id.
	Holders []HostID `json:"holders"`
	// AcceptorName is what people call the acceptor.
	AcceptorName string `json:"acceptor_name"`
}

// RecordQuery pages records by id; zero fields filter nothing.
type RecordQuery struct {
	Subject UUID
	Limit   int // 0: DefaultPage
	// Marker is the Next of the page before: records after it are returned.
	Marker RecordID
}

// Decide is the body of a decision about a host.
type Decide struct {
	Reason string `json:"reason" doc:"why, in a few words; it is shown to everybody"`
	// By is who asked a registry, which alone may say so.
	By string `json:"by,omitempty" doc:"set by a registry that passes a request on; nobody else may"`
	// At is when a registry was asked to revoke, so that the same at the next agent
	// is the same record.
	At time.Time `json:"at,omitzero" doc:"set by a registry that passes a revocation on; nobody else may"`
}

// Decided is the answer to what became a record.
type Decided struct {
	Record  Record   `json:"record"`
	Holders []HostID `json:"holders"` // that have it in their journals, by id
}

// ObjectQuery pages groups or key pairs by id; zero fields filter nothing.
type ObjectQuery struct {
	Project, Name string
	Limit         int // 0: DefaultPage
	// Marker is the Next of the page before: objects after it are returned.
	Marker UUID
}

// ObjectRef names an object: by id, or by a name that one of its project has.
type ObjectRef struct {
	IDOrName string
	Project  string // DefaultProject when empty; an id needs none
}
