package mesh

import (
	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// encodeState returns the rows of a state. A row that is past its bound is
// replaced by one that says so, because a row left out would mean that its
// subject is gone.
func (m *Mesh) encodeState(s State) []replica.OwnRow {
	rows := make([]replica.OwnRow, 0, 1+len(s.Instances)+len(s.Images)+len(s.Records))
	host := wire.EncodeHost(s.Host)
	if size := len(host.Core) + len(host.Stamp); size > fleet.MaxHostRowBytes {
		m.cfg.Log.Error("host row too large", "host", m.cfg.ID, "bytes", size)
		s.Host.Traits, s.Host.Networks, s.Host.HypervisorFault = nil, nil, cut(s.Host.HypervisorFault)
		host = wire.EncodeHost(s.Host)
	}
	rows = append(rows, replica.OwnRow{Key: wire.HostKey(m.cfg.ID), Body: host})
	for _, in := range s.Instances {
		body := wire.EncodeInstance(in)
		if size := len(body.Core) + len(body.Stamp); size > fleet.MaxInstanceRowBytes {
			m.cfg.Log.Error("instance row too large", "instance", in.ID, "bytes", size)
			in.Labels, in.Addresses, in.Fault = nil, nil, cut(in.Fault)
			in.Name, in.Project = cut(in.Name), cut(in.Project)
			body = wire.EncodeInstance(in)
		}
		rows = append(rows, replica.OwnRow{Key: wire.InstanceKey(in.ID), Body: body})
	}
	for _, im := range s.Images {
		key, ok := wire.ImageKey(im.ID)
		if !ok {
			m.cfg.Log.Error("image without a digest for an id not published", "image", im.ID)
			continue
		}
		rows = append(rows, replica.OwnRow{Key: key, Body: wire.EncodeImage(im)})
	}
	for _, r := range s.Records {
		rows = append(rows, replica.OwnRow{Key: wire.RecordKey(r.ID), Body: wire.EncodeRecord(r)})
	}
	return dedupe(rows)
}

// cut shortens a text to what fits any row.
func cut(s string) string {
	const most = 1024
	if len(s) <= most {
		return s
	}
	return s[:most]
}

// dedupe keeps the last row of each key: a block cannot hold two.
func dedupe(rows []replica.OwnRow) []replica.OwnRow {
	last := make(map[wire.Key]int, len(rows))
	for i, row := range rows {
		last[row.Key] = i
	}
	if len(last) == len(rows) {
		return rows
	}
	kept := make([]replica.OwnRow, 0, len(last))
	for i, row := range rows {
		if last[row.Key] == i {
			kept = append(kept, row)
		}
	}
	return kept
}
