package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"grapevine/mesh/wire/wirepb"
)

// appendPayload appends the payload of m to buf: packed by hand where it
// travels with every change, a Protocol Buffers message otherwise.
func appendPayload(buf []byte, m Message) []byte {
	switch m := m.(type) {
	case *Announce:
		return appendAnnounce(buf, m)
	case *Beats:
		return appendBeats(buf, m)
	case *Want:
		return appendWant(buf, m)
	case *Answer:
		return appendAnswer(buf, m)
	case *Peers:
		return appendPeers(buf, m)
	default:
		return append(buf, encode(message(m))...)
	}
}

func message(m Message) proto.Message {
	switch m := m.(type) {
	case *Hello:
		return encodeHello(m)
	case *Bye:
		return &wirepb.Bye{Reason: uint32(m.Reason), Detail: text(m.Detail)}
	case *Pulse:
		return &wirepb.Pulse{Number: m.Number, Ready: m.Ready, Echo: m.Echo, HeldUs: m.HeldUS, Root: m.Root}
	case *Root:
		return &wirepb.Root{Root: m.Root}
	case *BucketDigests:
		return &wirepb.Buckets{Digests: m.Digests}
	case *PartDigests:
		return &wirepb.Parts{Buckets: m.Buckets[:], Digests: m.Digests}
	case *Rows:
		return encodeRows(m)
	default:
		panic(fmt.Sprintf("wire: message of unknown type %T", m))
	}
}

func encodeHello(m *Hello) *wirepb.Hello {
	out := &wirepb.Hello{
		Protocol: m.Protocol, MinProtocol: m.MinProtocol, Label: text(m.Label), Id: m.ID[:],
		Role: text(string(m.Role)), Name: text(m.Name), Gossip: text(m.Gossip), Ready: m.Ready, Settled: m.Settled,
	}
	if y := m.Yours; y != nil {
		out.Yours = &wirepb.Life{Epoch: y.Epoch, Incarnation: y.Incarnation, Seq: y.Seq, Hardware: text(y.Hardware), AgeMs: y.AgeMS}
	}
	return out
}

func encodeRows(m *Rows) *wirepb.Rows {
	n := len(m.Entries)
	out := &wirepb.Rows{
		Covers: m.Covers.runs(), Answer: m.Answer,
		Tags: make([]uint32, n), Epochs: make([]uint64, n), Incarnations: make([]uint64, n), Seqs: make([]uint64, n),
	}
	for i, e := range m.Entries {
		out.Tags[i], out.Epochs[i], out.Incarnations[i], out.Seqs[i] = uint32(e.Tag), e.Epoch, e.Incarnation, e.Seq
	}
	return out
}
