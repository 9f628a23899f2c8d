package wire

import (
	"grapevine/fleet"
	"grapevine/mesh/wire/wirepb"
)

func packSet(s *fleet.WitnessSet) *wirepb.WitnessSet {
	if s == nil {
		return nil
	}
	return &wirepb.WitnessSet{Number: s.Number, Members: packIDs(s.Members), Old: packIDs(s.Old)}
}

func packIDs(ids []fleet.HostID) [][]byte {
	out := make([][]byte, 0, len(ids))
	for _, id := range ids {
		out = append(out, id[:])
	}
	return out
}

// unpackSet reads a set; one that is none, by what this version knows of sets,
// is as if it were not said.
func unpackSet(m *wirepb.WitnessSet) *fleet.WitnessSet {
	if m == nil || len(m.Members) != fleet.Witnesses || len(m.Old) > fleet.Witnesses {
		return nil
	}
	s := &fleet.WitnessSet{Number: m.Number}
	for _, list := range []struct {
		from [][]byte
		to   *[]fleet.HostID
	}{{m.Members, &s.Members}, {m.Old, &s.Old}} {
		for _, raw := range list.from {
			id, err := fleet.UUIDFromBytes(raw)
			if err != nil {
				return nil
			}
			*list.to = append(*list.to, id)
		}
	}
	if s.Validate() != nil {
		return nil
	}
	return s
}
