package ledger

import (
	"fmt"

	"grapevine/fleet"
)

// A strict group is kept by its hosts. Of an anti-affinity group one place is on
// each host, and only the host gives it away: here. The members of an affinity
// group go where its anchor is; a host that is the anchor and has none of them
// may give that up, by refusing every member under the attempt that made it the
// anchor: only then may it be moved.

// SetGroups tells which groups the machines on the host are in. The ledger keeps
// the map.
func (l *Ledger) SetGroups(m map[fleet.InstanceID]fleet.GroupID) { l.groups = m }

// members counts the machines and claims of a group, but for one instance. A
// claim whose build failed is one of them: its instance is still here.
func (l *Ledger) members(group fleet.GroupID, but fleet.InstanceID) int {
	n := 0
	for id, in := range l.groups {
		if in == group && id != but {
			n++
		}
	}
	for id, c := range l.claims {
		if _, built := l.groups[id]; c.Proposal.Group.ID == group && id != but && !built {
			n++
		}
	}
	return n
}

// joining fills in what the host knows of the group that a proposal is to be in.
func (l *Ledger) joining(host fleet.HostID, p *fleet.Proposal) fleet.Joining {
	j := p.Group
	j.Members = nil
	if !j.IsZero() {
		j.Members = map[fleet.HostID]int{host: l.members(j.ID, p.ID)}
	}
	return j
}

// moved is why no member is taken under an anchor that this host has given up.
func (l *Ledger) moved(j *fleet.Joining) []fleet.Refusal {
	if attempt, given := l.refused[fleet.AnchorKey(j.ID)]; j.Policy != fleet.Affinity || !given || j.AnchorAttempt > attempt {
		return nil
	}
	return []fleet.Refusal{{Code: fleet.RefuseAnchor, Detail: fmt.Sprintf("it has given up to be the host of affinity group %s", j.ID)}}
}

// giveUp is called when a member of an affinity group was refused, whose anchor
// this host is: without another member it gives that up, and says so.
func (l *Ledger) giveUp(host fleet.HostID, j *fleet.Joining, refusals []fleet.Refusal) []fleet.Refusal {
	if j.Policy != fleet.Affinity || j.Anchor != host || j.Members[host] > 0 {
		return refusals
	}
	key := fleet.AnchorKey(j.ID)
	l.refused[key] = max(l.refused[key], j.AnchorAttempt)
	return append(refusals, l.moved(j)...)
}
