package view

import (
	"iter"
	"maps"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// standing is how a host stands with this node's failure detector and with the
// hints of others, apart from what the host says of its hypervisor.
type standing struct {
	reach fleet.Reachability
	since time.Time // by this node's clock: when it noticed
}

// heard is the failure detector's word alone: hints change what is shown, and
// nothing that is done.
func (s standing) heard() bool { return s.reach == fleet.ReachOK || s.reach == fleet.ReachSuspect }

// refresh takes in what has changed in the replica and among the members since
// the last time. It costs next to nothing when nothing has.
func (v *View) refresh() {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := v.cfg.Now()
	members := v.membersChanged()
	if members {
		v.readMembers(now)
	}
	known := len(v.standings)
	hosts, last := v.cfg.Source.Replica().ChangedSince(v.seen)
	v.seen = last
	touched := map[fleet.HostID]bool{}
	var about []fleet.HostID
	for _, id := range hosts {
		about = append(about, v.takeIn(v.cfg.Source.Replica().Block(id), now, touched)...)
	}
	v.facts.index.Settle()
	if members {
		about = append(about, v.decidedHosts()...)
	}
	given := v.applyDecisions(about, now)
	moved := 0
	if members {
		v.weighAll()
		moved = v.judgeAgain(maps.Keys(v.standings), now)
	} else if len(touched) > 0 {
		v.weigh(touched)
		moved = v.judgeAgain(maps.Keys(touched), now)
	}
	if members || given || moved > 0 || len(v.standings) != known {
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
func (v *View) readMembers(now time.Time) {
	v.changed = v.cfg.Source.MembersChanged()
	v.status, v.alive = map[fleet.UUID]fleet.MemberStatus{}, 0
	members := v.cfg.Source.Members()
	v.since = sinceWhen(v.since, members, now)
	for _, m := range members {
		if m.Role != fleet.RoleAgent {
			continue
		}
		v.status[m.ID] = m.Status
		if m.Status == fleet.MemberAlive {
			v.alive++
		}
	}
}

// takeIn updates what is kept beside the replica for a host's new block, and
// adds to touched the hosts that it may cast doubt on, or take it off. It returns
// those about which other things may be decided now.
func (v *View) takeIn(b *replica.Block, now time.Time, touched map[fleet.HostID]bool) []fleet.HostID {
	id := b.HostID()
	if _, known := v.standings[id]; !known {
		v.standings[id] = standing{reach: v.judge(id), since: now}
	}
	v.hearAudit(b)
	about := v.facts.takeIn(b)
	if _, given := v.decided.dead[id]; given {
		about = append(about, id) // it may be back
	}
	v.suspicion.takeIn(b, touched)
	if v.decided.gone[id] {
		return about
	}
	v.rename(id, b.HostName())
	v.images.takeIn(b)
	v.members.takeIn(b)
	v.feed(b, now)
	return about
}

// feed gives placement the host's row as a reader would see it who knows of no
// hints: a host that is only suspect is proposed to, and may answer. A host
// whose row cannot be read is not proposed to.
func (v *View) feed(b *replica.Block, now time.Time) {
	host, ok := b.Host()
	if !ok || v.decided.gone[b.HostID()] {
		v.index.Remove(b.HostID())
		return
	}
	v.hearSet(&host)
	v.overlay(&host, now)
	if host.DeclaredDead != nil { // though it may be heard, by mistake or for a moment
		host.Reachability = fleet.ReachUnreachable
		v.index.Update(&host)
		return
	}
	if v.standings[host.ID].reach == fleet.ReachSuspect {
		host.Reachability, host.ReachabilitySince = standing{reach: fleet.ReachOK}.of(&host)
	}
	v.index.Update(&host)
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

// judgeAgain gives hosts with a block the standing that they have by now, and
// returns how many changed.
func (v *View) judgeAgain(hosts iter.Seq[fleet.HostID], now time.Time) int {
	moved := 0
	for id := range hosts {
		held, known := v.standings[id]
		if !known {
			continue // a hint about a host whose block has not come
		}
		reach := v.judge(id)
		if reach == fleet.ReachOK && id != v.cfg.Self && v.suspect(id) {
			reach = fleet.ReachSuspect
		}
		if reach == held.reach {
			continue
		}
		moved++
		v.standings[id] = standing{reach: reach, since: now}
		v.feed(v.cfg.Source.Replica().Block(id), now)
	}
	return moved
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
// agents that Serf lists without one yet, but those forgotten; heard are those with a block whose
// agent can be heard.
func (v *View) count() fleet.Coverage {
	var c fleet.Coverage
	for id, s := range v.standings {
		if v.decided.gone[id] {
			continue
		}
		c.Known++
		if s.reach == fleet.ReachOK {
			c.Heard++
		}
	}
	for range v.unheard() {
		c.Known++
	}
	return c
}

// unheard yields the agents that Serf lists and of which no block has come, but
// those that left and those forgotten. The caller holds mu.
func (v *View) unheard() iter.Seq[fleet.HostID] {
	return func(yield func(fleet.HostID) bool) {
		for id, status := range v.status {
			_, held := v.standings[id]
			if !held && status != fleet.MemberLeft && !v.decided.gone[id] && !yield(id) {
				return
			}
		}
	}
}

// standingOf returns a host's standing. The caller holds mu.
func (v *View) standingOf(id fleet.HostID) standing {
	s, known := v.standings[id]
	if !known {
		// The block came after the last refresh: a moment ago it was heard.
		return standing{reach: v.judge(id), since: v.cfg.Now()}
	}
	return s
}

// reachOf returns the reachability of a host as it is shown, and since when
// where it is not ok. The caller holds mu.
func (v *View) reachOf(host *fleet.Host) (fleet.Reachability, *time.Time) {
	return v.standingOf(host.ID).of(host)
}

// of lays the standing over what the host says of its hypervisor: the fault is
// shown where the host can be heard saying it.
func (s standing) of(host *fleet.Host) (fleet.Reachability, *time.Time) {
	switch {
	case s.reach != fleet.ReachOK:
		return s.reach, &s.since
	case host.HypervisorFault != "":
		return fleet.ReachHypervisorUnreachable, host.HypervisorFaultSince
	default:
		return fleet.ReachOK, nil
	}
}

// overlay fills in what this node knows of a row. The caller holds mu.
func (v *View) overlay(host *fleet.Host, now time.Time) {
	host.Reachability, host.ReachabilitySince = v.reachOf(host)
	host.AgeMS = v.age(host.ID, now)
	if word, dead := v.decided.dead[host.ID]; dead {
		host.DeclaredDead = &word
	}
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
