package wire

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"grapevine/fleet"
	"grapevine/mesh/wire/wirepb"
)

// Body is an encoded row body in two parts. Core is what the row says; Stamp
// is when it was last looked at, which is sent with the row but is no reason
// to send it. The body is Core followed by Stamp.
type Body struct {
	Core  []byte
	Stamp []byte
}

// Bytes returns the body as it is stored and sent.
func (b Body) Bytes() []byte { return slices.Concat(b.Core, b.Stamp) }

var deterministic = proto.MarshalOptions{Deterministic: true}

func encode(m proto.Message) []byte {
	b, err := deterministic.Marshal(m)
	if err != nil {
		panic(fmt.Sprintf("wire: encode %T: %v", m, err)) // strings are valid UTF-8: see text
	}
	return b
}

// EncodeHost returns the body of a host's own row. Its id is the row's key,
// its images are rows of their own, and overlays are not encoded.
func EncodeHost(h fleet.Host) Body {
	return Body{
		Core: encode(&wirepb.Host{
			Name: text(h.Name), Zone: text(h.Zone),
			Hypervisor: text(string(h.Hypervisor)), HypervisorVersion: text(h.HypervisorVersion),
			State: text(string(h.State)),
			Vcpus: amount(h.Capacity.VCPUs), MemoryMib: amount(h.Capacity.MemoryMiB), DiskGib: amount(h.Capacity.DiskGiB),
			Instances: uint32(max(h.Instances, 0)), // bounded by fleet.MaxRows
			Traits:    texts(h.Traits), Networks: texts(h.Networks), Api: text(h.API), AgentVersion: text(h.AgentVersion), Hardware: text(h.Hardware),
			Labels: pairs(h.Labels), StateReason: text(h.StateReason), Follows: h.Follows, Witnesses: packSet(h.Witnesses), Audit: packAudit(h.Audit),
			HypervisorFault: text(h.HypervisorFault), HypervisorFaultSinceMs: optionalMillis(h.HypervisorFaultSince),
		}),
		Stamp: encode(&wirepb.Host{ObservedAtMs: millis(h.ObservedAt)}),
	}
}

// DecodeHost reads the body of a host's row. Images are left empty: they are
// rows of their own.
func DecodeHost(id fleet.HostID, body []byte) (fleet.Host, error) {
	var m wirepb.Host
	if err := proto.Unmarshal(body, &m); err != nil {
		return fleet.Host{}, fmt.Errorf("decode row of host %s: %w", id, err)
	}
	h := fleet.Host{
		ID: id, Name: m.Name, Zone: m.Zone,
		Hypervisor: fleet.Hypervisor(m.Hypervisor), HypervisorVersion: m.HypervisorVersion,
		State: fleet.HostState(m.State), StateReason: m.StateReason, Labels: m.Labels,
		Capacity: fleet.Capacity{
			VCPUs: account(m.Vcpus), MemoryMiB: account(m.MemoryMib), DiskGiB: account(m.DiskGib),
		},
		Instances: int(m.Instances), Traits: list(m.Traits), Networks: list(m.Networks), Images: []string{},
		API: m.Api, AgentVersion: m.AgentVersion, Hardware: m.Hardware,
		HypervisorFault: m.HypervisorFault, ObservedAt: moment(m.ObservedAtMs),
		Follows: m.Follows, Witnesses: unpackSet(m.Witnesses), Audit: unpackAudit(m.Audit),
	}
	if m.HypervisorFaultSinceMs != 0 {
		since := moment(m.HypervisorFaultSinceMs)
		h.HypervisorFaultSince = &since
	}
	return h, nil
}

// EncodeImage returns the body of an image's row. Its id is the row's key.
func EncodeImage(im fleet.Image) Body {
	files := make([]*wirepb.ImageFile, 0, len(im.Files))
	for _, f := range im.Files {
		files = append(files, packFile(f))
	}
	m := &wirepb.Image{Name: text(im.Name), Files: files, Cmdline: text(im.Cmdline), CreatedAtMs: millis(im.CreatedAt)}
	if im.Stored != nil {
		m.Stored = packFile(*im.Stored)
	}
	return Body{Core: encode(m)}
}

func packAudit(link *fleet.AuditLink) *wirepb.AuditLink {
	if link == nil {
		return nil
	}
	hash, _ := hex.DecodeString(link.Hash) // the host's own
	return &wirepb.AuditLink{Number: link.Number, Hash: hash}
}

func unpackAudit(m *wirepb.AuditLink) *fleet.AuditLink {
	if m == nil {
		return nil
	}
	return &fleet.AuditLink{Number: m.Number, Hash: hex.EncodeToString(m.Hash)}
}

func packFile(f fleet.ImageFile) *wirepb.ImageFile {
	sum, _ := hex.DecodeString(f.SHA256) // a manifest was validated by its holder
	return &wirepb.ImageFile{Role: text(string(f.Role)), Sha256: sum, Bytes: f.Bytes, Format: text(f.Format), VirtualBytes: f.VirtualBytes}
}

func unpackFile(f *wirepb.ImageFile) fleet.ImageFile {
	return fleet.ImageFile{
		Role: fleet.ImageRole(f.Role), SHA256: hex.EncodeToString(f.Sha256), Bytes: f.Bytes,
		Format: f.Format, VirtualBytes: f.VirtualBytes,
	}
}

// DecodeImage reads the body of an image's row.
func DecodeImage(id string, body []byte) (fleet.Image, error) {
	var m wirepb.Image
	if err := proto.Unmarshal(body, &m); err != nil {
		return fleet.Image{}, fmt.Errorf("decode row of image %s: %w", id, err)
	}
	im := fleet.Image{ID: id, Name: m.Name, Cmdline: m.Cmdline, CreatedAt: moment(m.CreatedAtMs), Files: []fleet.ImageFile{}}
	for _, f := range m.Files {
		im.Bytes += f.Bytes
		im.Files = append(im.Files, unpackFile(f))
	}
	if m.Stored != nil {
		stored := unpackFile(m.Stored)
		im.Stored = &stored
	}
	return im, nil
}

// text makes s fit for a proto3 string, which must be valid UTF-8: names of
// foreign machines need not be.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func texts(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = text(s)
	}
	return out
}

func pairs(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		out[text(key)] = text(value)
	}
	return out
}

// list returns an empty slice for none, so that JSON shows [] and not null.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func amount(a fleet.Amount) *wirepb.Amount {
	return &wirepb.Amount{Total: a.Total, Reserved: a.Reserved, Allocated: a.Allocated}
}

func account(a *wirepb.Amount) fleet.Amount {
	return fleet.NewAmount(a.GetTotal(), a.GetReserved(), a.GetAllocated())
}

// millis is Unix milliseconds, 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func optionalMillis(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return millis(*t)
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
