package libvirt

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

const (
	// askers is how many machines are asked at a time, below the 5 calls that
	// libvirtd takes of a client at once.
	askers = 4
	// agentPatience is how long a guest agent may take, in seconds: one that
	// works answers within milliseconds, and one that hangs holds a thread of
	// libvirtd for as long.
	agentPatience = 3
	// askLimit bounds one machine's questions in all.
	askLimit = 4 * agentPatience * time.Second
	// askAgainFirst and askAgainLast space the questions: the pause doubles while
	// the answer is the same. A guest that has just come up gets its address
	// soon; one that has changed it by itself is found out within a minute.
	askAgainFirst = 3 * time.Second
	askAgainLast  = time.Minute
)

// asking finds the addresses that no lease tells of, beside the listing and on
// a connection of its own: a guest agent may answer late or never.
type asking struct {
	session *session.Session
	able    bool // the hypervisor's driver can be asked

	mu      sync.Mutex
	closed  bool
	known   map[golibvirt.UUID]*asked
	pending []golibvirt.Domain
	workers int
	running sync.WaitGroup
	hearers map[chan fleet.InstanceID]struct{}
}

// asked is what is known of one machine, for as long as it runs.
type asked struct {
	run     int32 // libvirt's number of this run of it
	agent   bool  // its agent had opened the channel
	waiting bool  // it is pending, or being asked
	heard   heard
	pause   time.Duration
	next    time.Time
}

func newAsking(s *session.Session, able bool) *asking {
	return &asking{session: s, able: able, known: make(map[golibvirt.UUID]*asked), hearers: make(map[chan fleet.InstanceID]struct{})}
}

// addresses returns what is known now of a domain's addresses, and sees to it
// that it is asked for again when that is due. It does not wait.
func (a *asking) addresses(dom golibvirt.Domain, seen *seenDomain, leases leases) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	agent := seen.agentListens()
	if !a.able || dom.ID < 0 || len(seen.Interfaces) == 0 || !agent && leases.cover(seen) {
		delete(a.known, dom.UUID)
		return addressesOn(seen, leases, &heard{}, now)
	}
	one := a.known[dom.UUID]
	if one == nil || one.run != dom.ID {
		one = &asked{run: dom.ID}
		a.known[dom.UUID] = one
	}
	if agent && !one.agent {
		one.pause, one.next = 0, time.Time{} // it has just come up, or come back
	}
	one.agent = agent
	if !one.waiting && !now.Before(one.next) {
		one.waiting = true
		a.enqueue(dom)
	}
	return addressesOn(seen, leases, &one.heard, now)
}

// enqueue has a machine asked. The caller holds the lock.
func (a *asking) enqueue(dom golibvirt.Domain) {
	a.pending = append(a.pending, dom)
	if a.workers < askers && !a.closed {
		a.workers++
		a.running.Go(a.work)
	}
}

// work asks one machine after the other until none is due.
func (a *asking) work() {
	for {
		a.mu.Lock()
		if len(a.pending) == 0 || a.closed {
			a.workers--
			a.mu.Unlock()
			return
		}
		dom := a.pending[0]
		a.pending = a.pending[1:]
		one := a.known[dom.UUID]
		agent := one != nil && one.run == dom.ID && one.agent
		a.mu.Unlock()
		a.note(dom, a.ask(dom, agent))
	}
}

// answer is what one machine's questions brought; nil is no answer.
type answer struct{ agent, arp []golibvirt.DomainInterface }

// ask puts the questions: the guest agent where it listens, or else the ARP
// table. An agent that fails to answer is as good as none.
func (a *asking) ask(dom golibvirt.Domain, agent bool) (got answer) {
	// The limit is the machine's, for all who ask its agent. Without one nobody
	// asks; others, who freeze its file systems, say, may need longer.
	if agent && a.limit(dom, agentPatience) {
		got.agent = a.query(dom, golibvirt.DomainInterfaceAddressesSrcAgent)
		a.limit(dom, int32(golibvirt.DomainAgentResponseTimeoutBlock))
	}
	if got.agent == nil {
		got.arp = a.query(dom, golibvirt.DomainInterfaceAddressesSrcArp)
	}
	return got
}

// query returns nothing where there is no answer.
func (a *asking) query(dom golibvirt.Domain, source golibvirt.DomainInterfaceAddressesSource) (found []golibvirt.DomainInterface) {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	var told []golibvirt.DomainInterface
	err := a.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		told, err = rpc.DomainInterfaceAddresses(dom, uint32(source), 0)
		return err
	})
	if err != nil {
		return nil // told may still be written to
	}
	return told
}

// limit sets how long libvirt waits for the machine's agent.
func (a *asking) limit(dom golibvirt.Domain, seconds int32) bool {
	ctx, cancel := context.WithTimeout(context.Background(), askLimit)
	defer cancel()
	return a.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		_, err := rpc.DomainAgentSetResponseTimeout(dom, seconds, 0)
		return err
	}) == nil
}

// note keeps an answer, and tells of one that changes what is known.
func (a *asking) note(dom golibvirt.Domain, got answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	one := a.known[dom.UUID]
	if one == nil || one.run != dom.ID {
		return // it has stopped since
	}
	now := time.Now()
	before := one.heard.all(now)
	if got.agent != nil {
		one.heard.hearAgent(got.agent, now)
	}
	one.heard.hearARP(got.arp, now)
	one.waiting = false
	one.pause = min(max(2*one.pause, askAgainFirst), askAgainLast)
	if !slices.Equal(before, one.heard.all(now)) {
		one.pause = askAgainFirst
		for hearer := range a.hearers {
			select {
			case hearer <- fleet.InstanceID(dom.UUID):
			default: // the next listing shows it
			}
		}
	}
	one.next = now.Add(one.pause)
}

// hear returns a channel that names machines of which something new is known,
// until leave is called.
func (a *asking) hear() (heard <-chan fleet.InstanceID, leave func()) {
	hearer := make(chan fleet.InstanceID, 16)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hearers[hearer] = struct{}{}
	return hearer, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.hearers, hearer)
	}
}

// keep forgets all domains but these.
func (a *asking) keep(domains []golibvirt.Domain) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) == 0 {
		return
	}
	listed := make(map[golibvirt.UUID]bool, len(domains))
	for _, dom := range domains {
		listed[dom.UUID] = true
	}
	maps.DeleteFunc(a.known, func(id golibvirt.UUID, _ *asked) bool { return !listed[id] })
}

// close hangs up, which ends questions under way, and waits for that.
func (a *asking) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.session.Close()
	a.running.Wait()
}
