package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"time"

	"grapevine/fleet"
)

// domain sets these hashes apart from all others, and is the form in words.
const domain = "grapevine audit entry 1"

// Join returns the entry as the one that follows a link.
func Join(last fleet.AuditLink, e fleet.AuditEntry) fleet.AuditEntry {
	e.Form, e.Number, e.Before = fleet.AuditForm, last.Number+1, last.Hash
	e.At = e.At.UTC().Truncate(time.Millisecond)
	e.Who = e.Who.Bounded()
	if e.For != nil {
		bounded := e.For.Bounded()
		e.For = &bounded
	}
	e.Route, e.Subject = fleet.AuditText(e.Route, fleet.MaxAuditTextBytes), fleet.AuditText(e.Subject, fleet.MaxAuditTextBytes)
	e.Times = max(e.Times, 1)
	e.Hash = Hash(&e)
	return e
}

// Hash works an entry's hash out of its other fields: a SHA-256 over the domain
// and the fields in their order, each text with its length before it, each number
// in eight bytes.
func Hash(e *fleet.AuditEntry) string {
	b := appendText(nil, domain)
	b = appendNumber(b, e.Number)
	b = appendText(b, e.Before)
	b = appendNumber(b, uint64(e.At.UnixMilli()))
	b = appendText(b, e.Version.String())
	b = appendAsker(b, &e.Who)
	if e.For != nil {
		b = appendNumber(b, 1)
		b = appendAsker(b, e.For)
	} else {
		b = appendNumber(b, 0)
	}
	for _, text := range []string{e.Route, e.Subject, e.Operation, e.Request} {
		b = appendText(b, text)
	}
	b = appendNumber(b, uint64(e.Status))
	b = appendText(b, e.Code)
	b = appendNumber(b, e.Times)
	b = appendNumber(b, e.Of)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

func appendAsker(b []byte, a *fleet.Asker) []byte {
	b = appendText(b, a.Role)
	b = appendText(b, a.Name)
	b = append(b, a.ID[:]...)
	return appendText(b, a.Address)
}

func appendText(b []byte, s string) []byte { return append(appendNumber(b, uint64(len(s))), s...) }

func appendNumber(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }
