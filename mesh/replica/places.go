package replica

import (
	"encoding/binary"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Two indexes lead from an instance to its host, with 8 bytes each:
//
//	places    48 bits of the instance's id | host's number
//	members   16 bits of its project's hash | 32 bits of its id | host's number
//
// They name a few rows too many when ids or hashes begin alike; who reads looks
// at the rows themselves.

const numberBits = 16

func placeOf(id []byte, host uint16) uint64 {
	return binary.BigEndian.Uint64(id)>>numberBits<<numberBits | uint64(host)
}

func memberOf(project uint16, prefix uint32, host uint16) uint64 {
	return uint64(project)<<48 | uint64(prefix)<<numberBits | uint64(host)
}

// reindex moves the indexes from a host's old block, which may be nil, to its
// next one: what comes is there before publish is called, what goes until
// after, so that no reader misses a row that both have.
func (r *Replica) reindex(host uint16, old, next *Block, publish func()) {
	var none packed
	p := &none
	if old != nil {
		p = &old.rows
	}
	q := &next.rows
	came, went := differ(p, q)
	for _, i := range came {
		r.indexRow(q, i, host, (*index).insert)
	}
	publish()
	for _, i := range went {
		r.indexRow(p, i, host, (*index).remove)
	}
}

func (r *Replica) indexRow(p *packed, i int, host uint16, do func(*index, uint64)) {
	id := p.key(i).ID
	if len(id) != len(fleet.UUID{}) {
		return // a row that nobody can look up by id
	}
	do(&r.places, placeOf([]byte(id[:8]), host))
	if sign := p.sign(i); sign != 0 {
		do(&r.members, memberOf(wire.SignProject(sign), p.prefix(i), host))
	}
}

// differ returns which instances of q are not in p as far as the indexes are
// concerned, by id and project, and which of p are not in q. Both are ordered,
// and most rows are the same: one pass over the hashes finds those that came
// and went.
func differ(p, q *packed) (came, went []int) {
	i, j := p.instances.from, q.instances.from
	for i < p.instances.to && j < q.instances.to {
		if p.sameRow(i, q, j) && sameProject(p.sign(i), q.sign(j)) {
			i, j = i+1, j+1
			continue
		}
		switch c := p.key(i).Compare(q.key(j)); {
		case c < 0:
			went, i = append(went, i), i+1
		case c > 0:
			came, j = append(came, j), j+1
		default:
			if !sameProject(p.sign(i), q.sign(j)) {
				came, went = append(came, j), append(went, i)
			}
			i, j = i+1, j+1
		}
	}
	for ; i < p.instances.to; i++ {
		went = append(went, i)
	}
	for ; j < q.instances.to; j++ {
		came = append(came, j)
	}
	return came, went
}

// sameProject reports whether two signs of one instance stand at one place of
// the index by project.
func sameProject(a, b wire.Sign) bool {
	return (a == 0) == (b == 0) && wire.SignProject(a) == wire.SignProject(b)
}

// Instance returns the blocks that have a row with this id, in the order of
// host ids: none, one, or more while an instance moves or has a twin. Which of
// them owns it is for the reader to judge.
func (r *Replica) Instance(id fleet.InstanceID) []*Block {
	var found []*Block
	for _, f := range r.Find(id) {
		found = append(found, f.Block)
	}
	return found
}
