package replica

import (
	"encoding/binary"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// Two indexes lead from an instance to its host, with 8 bytes each:
//
//	places    48 bits of the instance's id | host's number
//	members   its project's number | 32 bits of its id | host's number
//
// They name a row too many now and then, when ids begin alike; who reads looks
// at the rows of which that may be so.

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
func (r *Replica) reindex(host uint16, old, next *Block, turned turnover, publish func()) {
	if !turned.moved && turned.fresh.from == turned.fresh.to {
		publish()
		return
	}
	if old == nil && turned.projects != nil {
		r.moves.Add(1)
		r.indexAll(&next.rows, host, turned.projects)
		publish()
		r.moves.Add(1)
		return
	}
	var none packed
	p, q := &none, &next.rows
	if old != nil {
		p = &old.rows
	}
	came, went := r.differ(p, q, turned.fresh)
	if len(came)+len(went) == 0 {
		publish()
		return
	}
	r.moves.Add(1)
	for _, i := range came {
		r.indexRow(q, i, host, (*index).insert)
	}
	publish()
	for _, i := range went {
		r.indexRow(p, i, host, (*index).remove)
	}
	r.moves.Add(1)
	r.projects.forget()
}

func (r *Replica) indexRow(p *packed, i int, host uint16, do func(*index, uint64)) {
	id := p.key(i).ID
	if len(id) != len(fleet.UUID{}) {
		return // a row that nobody can look up by id
	}
	do(&r.places, placeOf([]byte(id[:8]), host))
	if p.sign(i) != 0 {
		do(&r.members, memberOf(r.projects.of(p, i).number, p.prefix(i), host))
	}
}

// indexAll is indexRow to insert all instances of a host.
func (r *Replica) indexAll(p *packed, host uint16, projects *roster) {
	numbers := make([]uint16, len(projects.names))
	for n, name := range projects.names {
		numbers[n] = r.projects.number([]byte(name)).number
	}
	places, members := r.room[0][:0], r.room[1][:0]
	for i := p.instances.from; i < p.instances.to; i++ {
		id := p.key(i).ID
		if len(id) != len(fleet.UUID{}) {
			continue
		}
		places = append(places, placeOf([]byte(id[:8]), host))
		if p.sign(i) != 0 {
			project := numbers[projects.of[i-p.instances.from]]
			members = append(members, memberOf(project, p.prefix(i), host))
		}
	}
	r.places.insertAll(places)
	r.members.insertAll(members)
	r.room = [2][]uint64{places, members}
}

// differ returns which instances of q are not in p as far as the indexes are
// concerned, by id and project, and which of p are not in q. Both are ordered,
// and most rows are the same: one pass over the hashes finds those that came
// and went.
func (r *Replica) differ(p, q *packed, fresh span) (came, went []int) {
	i, j := p.instances.from, q.instances.from
	for i < p.instances.to && j < q.instances.to {
		same := p.sameRow(i, q, j) && (p.sign(i) == 0) == (q.sign(j) == 0) && !fresh.has(j)
		if same {
			i, j = i+1, j+1
			continue
		}
		switch c := p.key(i).Compare(q.key(j)); {
		case c < 0:
			went, i = append(went, i), i+1
		case c > 0:
			came, j = append(came, j), j+1
		default:
			if !r.sameProject(p, i, q, j) {
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

// sameProject reports whether two rows of one instance stand at one place of
// the index of members.
func (r *Replica) sameProject(p *packed, i int, q *packed, j int) bool {
	a, b := p.sign(i), q.sign(j)
	if a == 0 || b == 0 {
		return a == b
	}
	return wire.SameProject(a, b) && r.projects.of(p, i) == r.projects.of(q, j)
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
