package wire

import (
	"errors"
	"fmt"
	"math/bits"

	"google.golang.org/protobuf/proto"

	"grapevine/fleet"
	"grapevine/mesh/wire/wirepb"
)

var errColumns = errors.New("columns of different lengths")

// decode reads a message. Those of the frames that travel with every change are
// the reader's own, and an answer points into the payload.
func (r *Reader) decode(kind frameKind, payload []byte) (Message, error) {
	switch kind {
	case kindAnnounce:
		return &r.announce, r.announce.decode(payload)
	case kindBeats:
		return decodeBeats(payload)
	case kindWant:
		return &r.want, r.want.decode(payload)
	case kindAnswer:
		return &r.answer, r.decodeAnswer(payload)
	case kindPeers:
		return decodePeers(payload)
	case kindHello:
		return decodeAs(payload, decodeHello)
	case kindBye:
		return decodeAs(payload, func(m *wirepb.Bye) (Message, error) {
			return &Bye{Reason: ByeReason(m.Reason), Detail: m.Detail}, nil
		})
	case kindPulse:
		return decodeAs(payload, func(m *wirepb.Pulse) (Message, error) {
			return &Pulse{Number: m.Number, Ready: m.Ready, Echo: m.Echo, HeldUS: m.HeldUs, Root: m.Root}, nil
		})
	case kindRoot:
		return decodeAs(payload, func(m *wirepb.Root) (Message, error) { return &Root{Root: m.Root}, nil })
	case kindBuckets:
		return decodeAs(payload, decodeBuckets)
	case kindParts:
		return decodeAs(payload, decodeParts)
	case kindRows:
		return decodeAs(payload, decodeRows)
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
		out.Yours = &Life{Epoch: y.Epoch, Incarnation: y.Incarnation, Seq: y.Seq, Hardware: y.Hardware, AgeMS: y.AgeMs}
	}
	return out, nil
}

func decodeBuckets(m *wirepb.Buckets) (Message, error) {
	if n := len(m.Digests); n != 0 && n != Buckets {
		return nil, fmt.Errorf("%d bucket digests, not %d", n, Buckets)
	}
	return &BucketDigests{Digests: m.Digests}, nil
}

func decodeParts(m *wirepb.Parts) (Message, error) {
	if len(m.Buckets) != Buckets/8 {
		return nil, fmt.Errorf("bucket map of %d bytes, not %d", len(m.Buckets), Buckets/8)
	}
	listed := 0
	for _, b := range m.Buckets {
		listed += bits.OnesCount8(b)
	}
	if len(m.Digests) != listed*PartsOfBucket {
		return nil, fmt.Errorf("%d part digests of %d buckets, not %d", len(m.Digests), listed, listed*PartsOfBucket)
	}
	return &PartDigests{Buckets: [Buckets / 8]byte(m.Buckets), Digests: m.Digests}, nil
}

func decodeRows(m *wirepb.Rows) (Message, error) {
	n := len(m.Tags)
	if len(m.Epochs) != n || len(m.Incarnations) != n || len(m.Seqs) != n {
		return nil, errColumns
	}
	covers, err := coverOf(m.Covers)
	if err != nil {
		return nil, err
	}
	out := &Rows{Covers: covers, Answer: m.Answer, Entries: make([]Entry, n)}
	for i := range out.Entries {
		out.Entries[i] = Entry{Tag(m.Tags[i]), m.Epochs[i], m.Incarnations[i], m.Seqs[i]}
	}
	return out, nil
}
