package wire

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"grapevine/fleet"
	"grapevine/mesh/wire/wirepb"
)

var errColumns = errors.New("columns of different lengths")

func decodeMessage(kind frameKind, payload []byte) (Message, error) {
	switch kind {
	case kindHello:
		return decodeAs(payload, decodeHello)
	case kindBye:
		return decodeAs(payload, func(m *wirepb.Bye) (Message, error) {
			return &Bye{Reason: ByeReason(m.Reason), Detail: m.Detail}, nil
		})
	case kindPing:
		return decodeAs(payload, func(m *wirepb.Ping) (Message, error) { return &Ping{Number: m.Number, Ready: m.Ready}, nil })
	case kindPong:
		return decodeAs(payload, func(m *wirepb.Pong) (Message, error) { return &Pong{Number: m.Number, Ready: m.Ready}, nil })
	case kindRoot:
		return decodeAs(payload, func(m *wirepb.Root) (Message, error) { return &Root{Root: m.Root}, nil })
	case kindBuckets:
		return decodeAs(payload, decodeBuckets)
	case kindRows:
		return decodeAs(payload, decodeRows)
	case kindAnnounce:
		return decodeAs(payload, decodeAnnounce)
	case kindWant:
		return decodeAs(payload, decodeWant)
	case kindAnswer:
		if err := checkAnswer(payload); err != nil {
			return nil, err
		}
		return decodeAs(payload, decodeAnswer)
	default:
		return nil, fmt.Errorf("kind %d is unknown", kind)
	}
}

// decodeAs unmarshals payload as a message of type T and converts it.
func decodeAs[T any, P interface {
	*T
	proto.Message
}](payload []byte, convert func(P) (Message, error)) (Message, error) {
	m := P(new(T))
	if err := proto.Unmarshal(payload, m); err != nil {
		return nil, err
	}
	return convert(m)
}

func decodeHello(m *wirepb.Hello) (Message, error) {
	id, err := fleet.UUIDFromBytes(m.Id)
	if err != nil {
		return nil, fmt.Errorf("id: %w", err)
	}
	out := &Hello{
		Protocol: m.Protocol, MinProtocol: m.MinProtocol, Label: m.Label, ID: id,
		Role: fleet.Role(m.Role), Name: m.Name, Gossip: m.Gossip, Ready: m.Ready, Settled: m.Settled,
	}
	if y := m.Yours; y != nil {
		out.Yours = &Life{Epoch: y.Epoch, Incarnation: y.Incarnation, Seq: y.Seq, Hardware: y.Hardware}
	}
	return out, nil
}

func decodeBuckets(m *wirepb.Buckets) (Message, error) {
	if n := len(m.Digests); n != 0 && n != Buckets {
		return nil, fmt.Errorf("%d bucket digests, not %d", n, Buckets)
	}
	return &BucketDigests{Digests: m.Digests}, nil
}

func decodeRows(m *wirepb.Rows) (Message, error) {
	n := len(m.Tags)
	if len(m.Buckets) != Buckets/8 {
		return nil, fmt.Errorf("bucket map of %d bytes, not %d", len(m.Buckets), Buckets/8)
	}
	if len(m.Epochs) != n || len(m.Incarnations) != n || len(m.Seqs) != n {
		return nil, errColumns
	}
	out := &Rows{Buckets: [Buckets / 8]byte(m.Buckets), Answer: m.Answer, Entries: make([]Entry, n)}
	for i := range out.Entries {
		out.Entries[i] = Entry{Tag(m.Tags[i]), m.Epochs[i], m.Incarnations[i], m.Seqs[i]}
	}
	return out, nil
}

func decodeAnnounce(m *wirepb.Announce) (Message, error) {
	n := len(m.Tags)
	if len(m.Epochs) != n || len(m.Seqs) != n || len(m.Beats) != n || len(m.AgesMs) != n {
		return nil, errColumns
	}
	out := &Announce{Items: make([]Announcement, n)}
	for i := range out.Items {
		out.Items[i] = Announcement{Tag(m.Tags[i]), m.Epochs[i], m.Seqs[i], m.Beats[i], m.AgesMs[i]}
	}
	return out, nil
}

func decodeWant(m *wirepb.Want) (Message, error) {
	out := &Want{Items: make([]WantItem, len(m.Items))}
	for i, w := range m.Items {
		out.Items[i] = WantItem{Tag: Tag(w.Tag), Epoch: w.Epoch, Incarnation: w.Incarnation, Seq: w.Seq, Ask: w.Ask}
		switch len(w.Hash) {
		case 0:
		case len(Hash{}):
			out.Items[i].Hash = Hash(w.Hash)
		default:
			return nil, fmt.Errorf("hash of %d bytes", len(w.Hash))
		}
	}
	return out, nil
}

func decodeAnswer(m *wirepb.Answer) (Message, error) {
	out := &Answer{Deltas: make([]Delta, len(m.Deltas))}
	for i, d := range m.Deltas {
		if err := decodeDelta(&out.Deltas[i], d); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func decodeDelta(out *Delta, d *wirepb.Delta) error {
	h := d.GetHead()
	if len(h.GetHash()) != len(Hash{}) || h.GetCount() > fleet.MaxRows {
		return fmt.Errorf("head with a hash of %d bytes and %d rows", len(h.GetHash()), h.GetCount())
	}
	*out = Delta{
		Tag: Tag(d.Tag), Form: Form(min(d.Form, 255)), Since: d.Since, Beat: d.Beat, AgeMS: d.AgeMs, Ask: d.Ask, // cut to 8 bits
		Head: Head{Incarnation: h.Incarnation, Epoch: h.Epoch, Seq: h.Seq, Count: int(h.Count), Hash: Hash(h.Hash)},
		Rows: make([]Row, len(d.Rows)), Deletions: make([]Deletion, len(d.Deletions)),
	}
	if out.Form != Changes {
		host, err := fleet.UUIDFromBytes(h.Host)
		if err != nil {
			return fmt.Errorf("host id: %w", err)
		}
		out.Head.Host = host
	}
	for i, r := range d.Rows {
		out.Rows[i] = Row{Key: Key{Kind(r.Kind), string(r.Id)}, Seq: r.Seq, Body: r.Body}
	}
	for i, x := range d.Deletions {
		out.Deletions[i] = Deletion{Key: Key{Kind(x.Kind), string(x.Id)}, Seq: x.Seq}
	}
	return nil
}

// The field numbers that checkAnswer counts.
const (
	fieldAnswerDeltas   = 1
	fieldDeltaRows      = 5
	fieldDeltaDeletions = 6
)

// checkAnswer counts the deltas, rows and deletions in an Answer before they
// are decoded: an empty one takes two bytes on the wire and a hundred in
// memory.
func checkAnswer(payload []byte) error {
	deltas, rows, deletions := 0, 0, 0
	err := eachField(payload, func(number protowire.Number, delta []byte) error {
		if number != fieldAnswerDeltas {
			return nil
		}
		deltas++
		return eachField(delta, func(number protowire.Number, _ []byte) error {
			if number == fieldDeltaRows {
				rows++
			}
			if number == fieldDeltaDeletions {
				deletions++
			}
			return nil
		})
	})
	switch {
	case err != nil:
		return err
	case deltas > AnswerBatchRows+1 || rows > AnswerBatchRows+fleet.MaxRows || deletions > deltas*MaxDeletions:
		return fmt.Errorf("%d deltas with %d rows and %d deletions are too many", deltas, rows, deletions)
	}
	return nil
}

// eachField calls f for every length-delimited field of an encoded message.
func eachField(b []byte, f func(protowire.Number, []byte) error) error {
	for len(b) > 0 {
		number, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if typ == protowire.BytesType {
			value, n := protowire.ConsumeBytes(b)
			if n < 0 {
				return protowire.ParseError(n)
			}
			if err := f(number, value); err != nil {
				return err
			}
			b = b[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, typ, b); n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}
