package view

import (
	"maps"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// members is which instances of the fleet are in server groups, and where: kept
// by group, so that a request for one looks at no others.
type members struct {
	hosts  map[fleet.HostID]hostMembers
	groups map[fleet.GroupID]map[seat]bool
	// anchors are the keys of the anchors of groups that have members.
	anchors map[fleet.UUID]fleet.GroupID
	// promised are members that a host has just promised to this node, and has not
	// been heard telling of.
	promised map[fleet.InstanceID]promise
}

// seat is an instance at a host: there may be copies of it at two.
type seat struct {
	host     fleet.HostID
	instance fleet.InstanceID
}

// hostMembers is what was taken in of one host, as of which block.
type hostMembers struct {
	head replica.Head
	in   map[fleet.InstanceID]fleet.GroupID // nil for none
}

type promise struct {
	seat
	group fleet.GroupID
	at    fleet.Version
}

// maxPromised bounds what is remembered of promises: they are some milliseconds
// old. One that finds no room only makes a soft wish less exact.
const maxPromised = 1024

func newMembers() members {
	return members{
		hosts: map[fleet.HostID]hostMembers{}, groups: map[fleet.GroupID]map[seat]bool{},
		anchors: map[fleet.UUID]fleet.GroupID{}, promised: map[fleet.InstanceID]promise{},
	}
}

// takeIn brings what is known of a host in step with its block.
func (m *members) takeIn(b *replica.Block) {
	host, head := b.HostID(), b.Head()
	held := m.hosts[host]
	after := uint64(0)
	if held.head.SameLife(&head) {
		after = held.head.Seq
	}
	for id, group := range held.in {
		if !b.Has(id) {
			m.leave(seat{host, id}, group)
			delete(held.in, id)
		}
	}
	for id, group := range b.Groups(after) {
		before := held.in[id]
		if before == group {
			continue
		}
		m.leave(seat{host, id}, before)
		delete(held.in, id)
		if group.IsZero() {
			continue
		}
		if held.in == nil {
			held.in = map[fleet.InstanceID]fleet.GroupID{}
		}
		held.in[id] = group
		m.join(seat{host, id}, group)
	}
	held.head = head
	m.hosts[host] = held
	for id, p := range m.promised {
		if p.host == host && b.Version().AtLeast(p.at) {
			delete(m.promised, id)
		}
	}
}

func (m *members) join(at seat, group fleet.GroupID) {
	if m.groups[group] == nil {
		m.groups[group] = map[seat]bool{}
		m.anchors[fleet.AnchorKey(group)] = group
	}
	m.groups[group][at] = true
}

func (m *members) leave(at seat, group fleet.GroupID) {
	delete(m.groups[group], at)
	if len(m.groups[group]) == 0 {
		delete(m.groups, group)
		delete(m.anchors, fleet.AnchorKey(group))
	}
}

// drop forgets what a host has.
func (m *members) drop(host fleet.HostID) {
	for id, group := range m.hosts[host].in {
		m.leave(seat{host, id}, group)
	}
	delete(m.hosts, host)
}

// on returns how many members of a group each host has, but for one instance.
func (m *members) on(group fleet.GroupID, but fleet.InstanceID) map[fleet.HostID]int {
	out := map[fleet.HostID]int{}
	for at := range m.groups[group] {
		if at.instance != but {
			out[at.host]++
		}
	}
	for _, p := range m.promised {
		if p.group == group && p.instance != but && !m.groups[group][p.seat] {
			out[p.host]++
		}
	}
	return out
}

// Promised tells the view of an instance that its host has just promised, so
// that the next choice for its group counts it.
func (v *View) Promised(row *fleet.Instance, at fleet.Version) {
	if row.Group.IsZero() {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	held := v.members.hosts[row.Host].head
	if len(v.members.promised) < maxPromised && !held.Version().AtLeast(at) {
		v.members.promised[row.ID] = promise{seat{row.Host, row.ID}, row.Group, at}
	}
}

// MembersOf returns how many members of a group each host shows, reachable or
// not.
func (v *View) MembersOf(group fleet.GroupID) map[fleet.HostID]int {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.members.on(group, fleet.InstanceID{})
}

// AnchorShown tells whether a key is that of the anchor of a group which has
// members, and whether this host shows any.
func (v *View) AnchorShown(key fleet.UUID, host fleet.HostID) (there, anchor bool) {
	v.refresh()
	v.mu.RLock()
	defer v.mu.RUnlock()
	group, anchor := v.members.anchors[key]
	return anchor && v.members.on(group, fleet.InstanceID{})[host] > 0, anchor
}

// gather fills in how many members each host has of the group that a request is
// to be in. The caller holds mu.
func (v *View) gather(req *fleet.Request) {
	if !req.Group.IsZero() {
		req.Group.Members = v.members.on(req.Group.ID, req.ID)
	}
}

// listMembers returns the members of a group. The caller holds mu.
func (v *View) listMembers(group fleet.GroupID) []fleet.GroupMember {
	out := make([]fleet.GroupMember, 0, len(v.members.groups[group]))
	for at := range maps.Keys(v.members.groups[group]) {
		member := fleet.GroupMember{Instance: at.instance, Host: at.host, HostName: v.nameOf[at.host]}
		if b := v.cfg.Source.Replica().Block(at.host); b != nil {
			row, _ := b.Instance(at.instance)
			member.Name = row.Name
		}
		out = append(out, member)
	}
	return out
}

// mostMembers returns the host with most members, zero where there are none: of
// several, the one with the lowest id.
func mostMembers(members map[fleet.HostID]int) fleet.HostID {
	var best fleet.HostID
	for host, n := range members {
		if more := n - members[best]; best.IsZero() || more > 0 || more == 0 && host.Compare(best) < 0 {
			best = host
		}
	}
	return best
}

// AnchorWanted returns the host that has members of a group already, so that it
// has to be its anchor; zero for none. One that somebody gave up is none.
func (v *View) AnchorWanted(group fleet.GroupID) fleet.HostID {
	members := v.MembersOf(group)
	for host := range members {
		if _, given := v.Given(host); given {
			delete(members, host)
		}
	}
	return mostMembers(members)
}
