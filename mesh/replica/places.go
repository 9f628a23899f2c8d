package replica

import (
	"encoding/binary"
	"slices"
	"sync/atomic"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// placeShards is how many parts the index of instances has. A part is copied
// when an instance comes or goes: at the size plan of 1,000,000 instances it
// holds 244 places of 32 bytes.
const placeShards = 4096

// places says which hosts have a row of an instance. Readers take a part as it
// is; the one writer replaces parts.
type places struct {
	shards [placeShards]atomic.Pointer[[]place]
}

// place is one instance on one host; a part is ordered by both.
type place struct {
	instance fleet.InstanceID
	host     fleet.HostID
}

func comparePlaces(a, b place) int {
	if c := a.instance.Compare(b.instance); c != 0 {
		return c
	}
	return a.host.Compare(b.host)
}

// shard mixes both halves of the id: some hypervisors give all their machines
// the same first bytes.
func (p *places) shard(id fleet.InstanceID) *atomic.Pointer[[]place] {
	mixed := (binary.BigEndian.Uint64(id[:8]) ^ binary.BigEndian.Uint64(id[8:])) * 0x9E3779B97F4A7C15
	return &p.shards[mixed>>(64-12)]
}

// hosts returns the hosts that have a row of the instance, in order.
func (p *places) hosts(id fleet.InstanceID) []fleet.HostID {
	part := p.shard(id).Load()
	if part == nil {
		return nil
	}
	var hosts []fleet.HostID
	i, _ := slices.BinarySearchFunc(*part, place{instance: id}, comparePlaces)
	for ; i < len(*part) && (*part)[i].instance == id; i++ {
		hosts = append(hosts, (*part)[i].host)
	}
	return hosts
}

// update moves the index from a host's old block, which may be nil, to its
// next one. Both are ordered, so one pass finds what came and went.
func (p *places) update(old, next *Block) {
	var before []Row
	if old != nil {
		before = old.kind(wire.KindInstance)
	}
	after := next.kind(wire.KindInstance)
	for len(before)+len(after) > 0 {
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].ID < after[0].ID:
			p.remove(before[0].ID, next.head.Host)
			before = before[1:]
		case len(before) == 0 || after[0].ID < before[0].ID:
			p.insert(after[0].ID, next.head.Host)
			after = after[1:]
		default:
			before, after = before[1:], after[1:]
		}
	}
}

func (p *places) insert(raw string, host fleet.HostID) {
	id, err := fleet.UUIDFromBytes([]byte(raw))
	if err != nil {
		return // a row that nobody can look up by id
	}
	shard, at := p.shard(id), place{id, host}
	var part []place
	if old := shard.Load(); old != nil {
		part = *old
	}
	if i, found := slices.BinarySearchFunc(part, at, comparePlaces); !found {
		part = slices.Insert(slices.Clone(part), i, at)
		shard.Store(&part)
	}
}

func (p *places) remove(raw string, host fleet.HostID) {
	id, err := fleet.UUIDFromBytes([]byte(raw))
	if err != nil {
		return
	}
	shard, at := p.shard(id), place{id, host}
	part := shard.Load()
	if part == nil {
		return
	}
	if i, found := slices.BinarySearchFunc(*part, at, comparePlaces); found {
		next := slices.Delete(slices.Clone(*part), i, i+1)
		shard.Store(&next)
	}
}
