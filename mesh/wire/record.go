package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"grapevine/fleet"
	"grapevine/mesh/wire/wirepb"
)

// KindRecord is a row in a holder's block: a record that is in its journal.
// Key: the record's id, 16 bytes.
const KindRecord Kind = 5

// RecordKey returns the key of a record's row.
func RecordKey(id fleet.RecordID) Key { return Key{KindRecord, string(id[:])} }

// EncodeRecord returns the body of a record's row. Its id is the row's key.
func EncodeRecord(r fleet.Record) Body {
	m := &wirepb.Record{
		Kind: text(string(r.Kind)), Subject: r.Subject[:], Name: text(r.Name),
		Epoch: r.Covers.Epoch, Seq: r.Covers.Seq, Generation: r.Generation, CreatedAtMs: millis(r.CreatedAt),
		By: text(r.By), Why: text(r.Why), AcceptedAtMs: millis(r.AcceptedAt), Acceptor: r.Acceptor[:],
		Project: text(r.Project), Policy: text(string(r.Policy)), PublicKey: text(r.PublicKey), Trust: text(r.Trust),
	}
	if r.Covers.Host != r.Subject && !r.Kind.Hostless() {
		m.Host = r.Covers.Host[:]
	}
	return Body{Core: encode(m)}
}

// DecodeRecord reads the body of a record's row. What a later version states is
// read as well, with a kind that is not known here.
func DecodeRecord(id fleet.RecordID, body []byte) (fleet.Record, error) {
	var m wirepb.Record
	if err := proto.Unmarshal(body, &m); err != nil {
		return fleet.Record{}, fmt.Errorf("decode record %s: %w", id, err)
	}
	r := fleet.Record{
		ID: id, Kind: fleet.RecordKind(m.Kind), Name: m.Name,
		Covers: fleet.Version{Epoch: m.Epoch, Seq: m.Seq}, Generation: m.Generation, CreatedAt: moment(m.CreatedAtMs),
		By: m.By, Why: m.Why, AcceptedAt: moment(m.AcceptedAtMs),
		Project: m.Project, Policy: fleet.GroupPolicy(m.Policy), PublicKey: m.PublicKey, Trust: m.Trust,
	}
	switch {
	case r.Kind.Hostless():
		m.Host = make([]byte, len(r.Subject)) // no host's
	case len(m.Host) == 0:
		m.Host = m.Subject
	}
	for _, part := range []struct {
		to   *fleet.UUID
		from []byte
	}{{&r.Subject, m.Subject}, {&r.Covers.Host, m.Host}, {&r.Acceptor, m.Acceptor}} {
		id, err := fleet.UUIDFromBytes(part.from)
		if err != nil {
			return fleet.Record{}, fmt.Errorf("decode record %s: %w", r.ID, err)
		}
		*part.to = id
	}
	return r, nil
}
