package wire

import (
	"fmt"

	"grapevine/mesh/wire/wirepb"
)

func encodeMessage(m Message) []byte {
	switch m := m.(type) {
	case *Hello:
		return encode(encodeHello(m))
	case *Bye:
		return encode(&wirepb.Bye{Reason: uint32(m.Reason), Detail: text(m.Detail)})
	case *Ping:
		return encode(&wirepb.Ping{Number: m.Number, Ready: m.Ready})
	case *Pong:
		return encode(&wirepb.Pong{Number: m.Number, Ready: m.Ready})
	case *Root:
		return encode(&wirepb.Root{Root: m.Root})
	case *BucketDigests:
		return encode(&wirepb.Buckets{Digests: m.Digests})
	case *Rows:
		return encode(encodeRows(m))
	case *Announce:
		return encode(encodeAnnounce(m))
	case *Want:
		return encode(encodeWant(m))
	case *Answer:
		return encode(encodeAnswer(m))
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
		out.Yours = &wirepb.Life{Epoch: y.Epoch, Incarnation: y.Incarnation, Seq: y.Seq, Hardware: text(y.Hardware)}
	}
	return out
}

func encodeRows(m *Rows) *wirepb.Rows {
	out := &wirepb.Rows{Buckets: m.Buckets[:], Answer: m.Answer}
	for _, e := range m.Entries {
		out.Tags = append(out.Tags, uint32(e.Tag))
		out.Epochs = append(out.Epochs, e.Epoch)
		out.Incarnations = append(out.Incarnations, e.Incarnation)
		out.Seqs = append(out.Seqs, e.Seq)
	}
	return out
}

func encodeAnnounce(m *Announce) *wirepb.Announce {
	out := &wirepb.Announce{}
	for _, a := range m.Items {
		out.Tags = append(out.Tags, uint32(a.Tag))
		out.Epochs = append(out.Epochs, a.Epoch)
		out.Seqs = append(out.Seqs, a.Seq)
		out.Beats = append(out.Beats, a.Beat)
		out.AgesMs = append(out.AgesMs, a.AgeMS)
	}
	return out
}

func encodeWant(m *Want) *wirepb.Want {
	out := &wirepb.Want{Items: make([]*wirepb.WantItem, len(m.Items))}
	for i, w := range m.Items {
		out.Items[i] = &wirepb.WantItem{Tag: uint32(w.Tag), Epoch: w.Epoch, Incarnation: w.Incarnation, Seq: w.Seq, Ask: w.Ask}
		if w.Hash != (Hash{}) {
			out.Items[i].Hash = w.Hash[:]
		}
	}
	return out
}

func encodeAnswer(m *Answer) *wirepb.Answer {
	out := &wirepb.Answer{Deltas: make([]*wirepb.Delta, len(m.Deltas))}
	for i := range m.Deltas {
		out.Deltas[i] = encodeDelta(&m.Deltas[i])
	}
	return out
}

func encodeDelta(d *Delta) *wirepb.Delta {
	out := &wirepb.Delta{
		Tag: uint32(d.Tag), Form: wirepb.Form(d.Form), Since: d.Since, Beat: d.Beat, AgeMs: d.AgeMS, Ask: d.Ask,
		Head: &wirepb.Head{Seq: d.Head.Seq, Count: uint32(d.Head.Count), Hash: d.Head.Hash[:]}, // bounded by fleet.MaxRows
		Rows: make([]*wirepb.Row, len(d.Rows)),
	}
	if d.Form != Changes {
		out.Head.Host, out.Head.Epoch, out.Head.Incarnation = d.Head.Host[:], d.Head.Epoch, d.Head.Incarnation
	}
	for i := range d.Rows {
		r := &d.Rows[i]
		out.Rows[i] = &wirepb.Row{Kind: uint32(r.Kind), Id: []byte(r.ID), Seq: r.Seq, Body: r.Body}
	}
	for _, x := range d.Deletions {
		out.Deletions = append(out.Deletions, &wirepb.Deletion{Kind: uint32(x.Kind), Id: []byte(x.ID), Seq: x.Seq})
	}
	return out
}
