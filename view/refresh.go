package view

import (
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// standing is how a host stands with this node's failure detector, apart from
// what the host says of its hypervisor.
type standing struct {
	reach fleet.Reachability
	since time.Time // by this node's clock: when it noticed
}

// refresh takes in what has changed in the replica and among the members since
// the last time. It costs next to nothing when nothing has.
func (v *View) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.cfg.Now()
	members := v.membersChanged()
	if members {
		v.readMembers()
	}
	known := len(v.standings)
	hosts, last := v.cfg.Source.Replica().ChangedSince(v.seen)
	v.seen = last
	for _, id := range hosts {
		v.takeIn(v.cfg.Source.Replica().Block(id), now)
	}
	if members {
		v.judgeAll(now)
	}
	if members || len(v.standings) != known {
		v.coverage = v.count()
	}
}

// membersChanged reports whether the members are to be read (again).
func (v *View) membersChanged() bool {
	if v.changed == nil {
		return true
	}
	select {
	case <-v.changed:
		return true
	default:
		return false
	}
}

// readMembers takes the channel first, so that no change is missed.
func (v *View) readMembers() {
	v.changed = v.cfg.Source.MembersChanged()
	v.status = map[fleet.UUID]fleet.MemberStatus{}
	for _, m := range v.cfg.Source.Members() {
		if m.Role == fleet.RoleAgent {
			v.status[m.ID] = m.Status
		}
	}
}

// takeIn updates what is kept beside the replica for a host's new block.
func (v *View) takeIn(b *replica.Block, now time.Time) {
	id := b.HostID()
	if _, known := v.standings[id]; !known {
		v.standings[id] = standing{reach: v.judge(id), since: now}
	}
	v.rename(id, b.HostName())
	v.images.takeIn(b)
	v.feed(b, now)
}

// feed gives placement the host's row as a reader would see it. A host whose
// row cannot be read is not proposed to.
func (v *View) feed(b *replica.Block, now time.Time) {
	host, ok := b.Host()
	if !ok {
		v.index.Remove(b.HostID())
		return
	}
	v.overlay(&host, now)
	v.index.Update(host)
}

// rename keeps the index of host names.
func (v *View) rename(id fleet.HostID, name string) {
	old, had := v.nameOf[id]
	if had && old == name {
		return
	}
	if had {
		rest := slices.DeleteFunc(v.names[old], func(h fleet.HostID) bool { return h == id })
		if len(rest) == 0 {
			delete(v.names, old)
		} else {
			v.names[old] = rest
		}
	}
	v.nameOf[id] = name
	if name == "" {
		return
	}
	v.names[name] = append(v.names[name], id)
	slices.SortFunc(v.names[name], fleet.UUID.Compare)
}

// judgeAll compares every host with the members, and notes when one changed.
func (v *View) judgeAll(now time.Time) {
	for id, held := range v.standings {
		reach := v.judge(id)
		if reach == held.reach {
			continue
		}
		v.standings[id] = standing{reach: reach, since: now}
		v.feed(v.cfg.Source.Replica().Block(id), now)
	}
}

// judge says what the failure detector's word means for a host's rows. A host
// that is in the replica and unknown to Serf was heard of through others and
// cannot be reached.
func (v *View) judge(id fleet.HostID) fleet.Reachability {
	if id == v.cfg.Self {
		return fleet.ReachOK
	}
	switch v.status[id] {
	case fleet.MemberAlive:
		return fleet.ReachOK
	case fleet.MemberLeaving, fleet.MemberLeft:
		return fleet.ReachLeft
	default:
		return fleet.ReachUnreachable
	}
}

// count works the coverage out: known are the hosts with a block and the
// agents that Serf lists without one yet; heard are those with a block whose
// agent can be heard.
func (v *View) count() fleet.Coverage {
	var c fleet.Coverage
	for _, s := range v.standings {
		c.Known++
		if s.reach == fleet.ReachOK {
			c.Heard++
		}
	}
	for id, status := range v.status {
		if _, held := v.standings[id]; !held && status != fleet.MemberLeft {
			c.Known++
		}
	}
	return c
}

// reachOf returns the reachability of a host as it is shown, and since when
// where it is not ok. The caller holds mu.
func (v *View) reachOf(host *fleet.Host) (fleet.Reachability, *time.Time) {
	s, known := v.standings[host.ID]
	switch {
	case !known:
		// The block came after the last refresh: a moment ago it was heard.
		s = standing{reach: v.judge(host.ID), since: v.cfg.Now()}
	case s.reach == fleet.ReachOK && host.HypervisorFault != "":
		return fleet.ReachHypervisorUnreachable, host.HypervisorFaultSince
	}
	if s.reach == fleet.ReachOK {
		return s.reach, nil
	}
	since := s.since
	return s.reach, &since
}

// overlay fills in what this node knows of a row. The caller holds mu.
func (v *View) overlay(host *fleet.Host, now time.Time) {
	host.Reachability, host.ReachabilitySince = v.reachOf(host)
	host.AgeMS = v.age(host.ID, now)
}

// age returns for how many milliseconds the host has not been surely alive. A
// host that has given no sign of life since this node started is at least as
// old as this node.
func (v *View) age(id fleet.HostID, now time.Time) int64 {
	if id == v.cfg.Self {
		return 0
	}
	age, ok := v.cfg.Source.Replica().Age(id, now)
	if !ok {
		age = max(now.Sub(v.started), 0)
	}
	return age.Milliseconds()
}
