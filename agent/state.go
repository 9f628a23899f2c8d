package agent

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"grapevine/agent/homes"
	"grapevine/agent/journal"
	"grapevine/agent/ledger"
	"grapevine/agent/observer"
	"grapevine/agent/quarantine"
	"grapevine/agent/records"
	"grapevine/fleet"
	"grapevine/mesh"
)

// state is what the agent knows and has promised, behind one lock. What
// becomes durable goes to the journal outside of it, under the keyed lock of
// the one id concerned.
type state struct {
	mu sync.Mutex
	// base is the host's row without what the hypervisor says.
	base   fleet.Host
	ledger *ledger.Ledger
	homes  *homes.Homes
	// records are the facts that no host owns and this agent holds.
	records *records.Shelf
	// busy has the operation that each instance is under.
	busy map[fleet.InstanceID]*journal.Operation
	// lent counts, of instances that are being cloned, the clones under way.
	lent map[fleet.InstanceID]int
	// leaving has the rows of instances that are being deleted: they are shown
	// until the operation has ended, not only until the machine is gone.
	leaving map[fleet.InstanceID]fleet.Instance
	// retiring has the images that are being removed: they are shown no more.
	retiring map[string]bool
	// faults has why an instance's last operation failed.
	faults map[fleet.InstanceID]string
	// arrivals has the numbers of the operations by which instances come, or came,
	// from other hosts, by the ids of the moves.
	arrivals map[string]uint64
	deleted  map[fleet.InstanceID]journal.Deletion
	// lastOperation numbers operations; the journal has the highest one.
	lastOperation uint64
	// last is the host's row as last published: its ObservedAt stands while
	// nothing else in it changes.
	last fleet.Host
	// back is what is known of the host's return, and verdict what follows of it.
	back    quarantine.State
	verdict quarantine.Verdict
	// since is when a claim was first shown, for rows; never compared.
	since map[fleet.InstanceID]time.Time
}

// restore fills the state from the journal.
func restore(j *journal.Journal, base fleet.Host, terms ledger.Terms) (*state, error) {
	host, err := j.Host()
	if err != nil {
		return nil, err
	}
	claims, err := j.Claims()
	if err != nil {
		return nil, err
	}
	refusals, err := j.Refusals()
	if err != nil {
		return nil, err
	}
	deletions, err := j.Deletions()
	if err != nil {
		return nil, err
	}
	keys, err := j.Keys()
	if err != nil {
		return nil, err
	}
	held, err := j.Records()
	if err != nil {
		return nil, err
	}
	last, err := j.LastOperation()
	if err != nil {
		return nil, err
	}
	back, err := j.Quarantine()
	if err != nil {
		return nil, err
	}
	s := &state{
		back:          back,
		base:          base,
		ledger:        ledger.New(terms),
		homes:         homes.New(keys),
		records:       records.NewShelf(held),
		busy:          map[fleet.InstanceID]*journal.Operation{},
		lent:          map[fleet.InstanceID]int{},
		leaving:       map[fleet.InstanceID]fleet.Instance{},
		retiring:      map[string]bool{},
		faults:        map[fleet.InstanceID]string{},
		arrivals:      map[string]uint64{},
		deleted:       map[fleet.InstanceID]journal.Deletion{},
		lastOperation: last,
		since:         map[fleet.InstanceID]time.Time{},
	}
	s.base.State = host.State
	refused := map[fleet.InstanceID]uint32{}
	for _, r := range refusals {
		refused[r.Instance] = r.Attempt
	}
	s.ledger.Restore(claims, refused)
	for _, d := range deletions {
		s.deleted[d.Instance] = d
	}
	return s, nil
}

// settle brings the ledger in step with the picture and returns the host's
// row. The caller holds the lock.
func (s *state) settle(p *observer.Picture) fleet.Host {
	machines := make(map[fleet.InstanceID]fleet.Resources, len(p.Machines))
	groups := map[fleet.InstanceID]fleet.GroupID{}
	for id, row := range s.leaving {
		if !row.Group.IsZero() {
			groups[id] = row.Group
		}
	}
	for id, m := range p.Machines {
		machines[id] = m.Resources
		if m.Mark != nil && !m.Mark.Group.IsZero() {
			groups[id] = m.Mark.Group.ID
		}
	}
	s.ledger.SetMachines(machines)
	s.ledger.SetGroups(groups)
	s.ledger.SetPhysical(p.Description.Total)
	s.ledger.SetHeld(p.Description.Reserved)
	host := s.base
	describeHost(&host, p)
	host.Images = slices.DeleteFunc(host.Images, func(id string) bool { return s.retiring[id] })
	host.Capacity = s.ledger.Capacity()
	if s.back.On() {
		host.State, host.StateReason = fleet.HostQuarantined, quarantine.Reason(&s.back, &s.verdict)
	}
	return host
}

// rows returns the host's whole account of itself, as it is published. The
// caller holds the lock.
func (s *state) rows(p *observer.Picture, now time.Time) mesh.State {
	host := s.settle(p)
	out := mesh.State{Records: s.records.All()}
	for _, im := range p.Images {
		if !s.retiring[im.ID] {
			out.Images = append(out.Images, im)
		}
	}
	for id, m := range p.Machines {
		if s.busy[id].Arrives() {
			continue // it is another host's until that gives it
		}
		row := machineRow(&host, m, s.busy[id], s.faults[id])
		row.SupersededBy, row.Twin = s.verdict.Superseded[id], s.verdict.Twins[id]
		out.Instances = append(out.Instances, row)
	}
	for _, c := range s.ledger.Claims() {
		id := c.ID()
		if _, built := p.Machines[id]; !built && !s.busy[id].Arrives() {
			out.Instances = append(out.Instances, claimRow(&host, c, s.busy[id], s.shownSince(id, now)))
		}
	}
	for id, row := range s.leaving {
		if _, there := p.Machines[id]; !there && s.ledger.Claim(id) == nil {
			row.Task = taskOf(s.busy[id])
			out.Instances = append(out.Instances, row)
		}
	}
	maps.DeleteFunc(s.since, func(id fleet.InstanceID, _ time.Time) bool { return s.ledger.Claim(id) == nil })
	slices.SortFunc(out.Instances, func(a, b fleet.Instance) int { return a.ID.Compare(b.ID) })
	host.Instances = len(out.Instances)
	out.Host = s.dated(host, now)
	return out
}

func (s *state) shownSince(id fleet.InstanceID, now time.Time) time.Time {
	if s.since[id].IsZero() {
		s.since[id] = now
		if op := s.busy[id]; op != nil && op.Verb == verbCreate {
			s.since[id] = op.StartedAt // as the machine's mark will say
		}
	}
	return s.since[id]
}

// dated keeps the row's date while nothing else in it changes, so that looking
// again publishes nothing.
func (s *state) dated(host fleet.Host, now time.Time) fleet.Host {
	host.ObservedAt = s.last.ObservedAt
	if !sameHost(&host, &s.last) {
		host.ObservedAt = now
	}
	s.last = host
	return host
}

func sameHost(a, b *fleet.Host) bool {
	return cmp.Compare(a.Instances, b.Instances) == 0 &&
		a.Name == b.Name && a.Zone == b.Zone && maps.Equal(a.Labels, b.Labels) && a.Hypervisor == b.Hypervisor &&
		a.HypervisorVersion == b.HypervisorVersion && a.State == b.State && a.StateReason == b.StateReason && a.Capacity == b.Capacity &&
		slices.Equal(a.Traits, b.Traits) && slices.Equal(a.Networks, b.Networks) && slices.Equal(a.Images, b.Images) && a.API == b.API &&
		a.AgentVersion == b.AgentVersion && a.Hardware == b.Hardware && a.HypervisorFault == b.HypervisorFault &&
		a.Follows == b.Follows && a.Witnesses.Equal(b.Witnesses)
}
