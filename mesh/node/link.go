package node

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/exchange"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

const (
	// pulseEvery is how often each side of a link gives a sign of life.
	pulseEvery = time.Second
	// unasked is how long ago the last pulse of a peer that dialled is when this
	// side gives it one without having been given one: not late at once.
	unasked = pulseEvery + pulseEvery/8
	// missed is how long a link is silent when two pulses were missed: a hint.
	missed = 2*pulseEvery + pulseEvery/4
	// silence is how long a link may bring nothing before it is dropped.
	silence = 5 * time.Second
	// helloTimeout bounds the time until both sides have said hello.
	helloTimeout = 5 * time.Second
	// compareEvery is how often the side that dialled compares roots.
	compareEvery = 30 * time.Second
	// batch is how many messages Collect returns at most.
	batch = 16
)

// Link is one stream between this node and a peer.
type Link struct {
	// Stream is the caller's, who finds its own end of the link there.
	Stream any

	outbound bool
	dial     *Dial          // of an outbound link
	must     fleet.UUID     // who the other side is by its certificate; zero: any
	hello    *wire.Hello    // the peer's, nil before it came
	peer     *exchange.Peer // nil before the link was added
	opened   time.Time
	up       time.Time
	heard    time.Time // when anything came last
	compare  time.Time // when roots are compared next
	hinted   bool      // the peer was silent for too long

	sayHello bool
	sayPulse bool
	bye      *wire.Bye // why this side ends the link; the last thing said
	over     bool      // Ended was called
	farewell *wire.Bye // why the peer ended it

	number uint64 // of the last pulse sent
	sentAt time.Time
	echo   uint64 // of the last pulse received
	echoAt time.Time
	rtt    time.Duration
	ready  bool // the peer holds the whole fleet

	root     uint64 // the peer's, by its last pulse; 0: it said none
	compared roots  // with which both were compared last because of a pulse
}

// ByeError is how a link ends when one side says why.
type ByeError struct{ wire.Bye }

// Error implements error.
func (e *ByeError) Error() string { return "peer ended the link: " + e.Detail }

// Peer returns who is at the other end, zero before the hello of a stream
// without a certificate.
func (l *Link) Peer() fleet.UUID {
	if l.hello != nil {
		return l.hello.ID
	}
	return l.must
}

// PeerName returns the peer's name, empty before its hello.
func (l *Link) PeerName() string {
	if l.hello == nil {
		return ""
	}
	return l.hello.Name
}

// Accepted takes in a stream that peer, as its certificate says, opened to
// this agent. It returns nil when no link is accepted any more.
func (n *Node) Accepted(peer fleet.UUID, now time.Time) *Link {
	if n.closed || n.started.IsZero() {
		return nil
	}
	l := &Link{must: peer, opened: now, heard: now}
	n.greeted = append(n.greeted, l)
	n.arm(now.Add(helloTimeout))
	return l
}

// Receive takes a message from a link's peer. After an error the stream is to
// be closed, once what Collect still has is written.
func (n *Node) Receive(l *Link, msg wire.Message, now time.Time) error {
	if l.over || l.bye != nil {
		return nil
	}
	l.heard, n.refusal.now = now, now
	err := n.receive(l, msg, now)
	if errors.Is(err, exchange.ErrProtocol) {
		n.BrokeProtocol(l, err)
	}
	return err
}

// Checks appends the looks at signatures that Receive of msg will take, for
// whoever would rather do them before, beside other things.
func (n *Node) Checks(l *Link, msg wire.Message, to []replica.Check) []replica.Check {
	answer, ok := msg.(*wire.Answer)
	if !ok || l.over || l.bye != nil || l.peer == nil {
		return to
	}
	return n.exchange.Checks(l.peer, answer, to)
}

func (n *Node) receive(l *Link, msg wire.Message, now time.Time) error {
	switch msg := msg.(type) {
	case nil:
		return nil // of a later version
	case *wire.Bye:
		l.farewell = msg
		return &ByeError{*msg}
	case *wire.Hello:
		if l.hello != nil {
			return fmt.Errorf("%w: a second hello", exchange.ErrProtocol)
		}
		n.receiveHello(l, msg, now)
		return nil
	case *wire.Pulse:
		l.receivePulse(msg, now)
		n.receiveRoot(l, msg.Root)
		if !l.outbound && l.peer != nil {
			l.sayPulse = true
			n.world.Wake(l)
		}
		return nil
	}
	if l.peer == nil {
		return fmt.Errorf("%w: %T before hello", exchange.ErrProtocol, msg)
	}
	err := n.exchange.Receive(l.peer, msg, now)
	n.expireWants(now)
	if n.exchange.SelfHeard() {
		n.settleEpoch(now)
	}
	return err
}

// expireWants makes sure that wants that nobody answers are looked after.
func (n *Node) expireWants(now time.Time) {
	if n.expireAt.IsZero() && n.exchange.Wanting() {
		n.expireAt = now.Add(exchange.WantTimeout)
	}
}

// Collect appends what is to be written to a link now, and reports whether the
// stream is to be closed behind it. Called again at once it has more, until it
// returns nothing. The messages are valid until it is called for this link again.
func (n *Node) Collect(l *Link, msgs []wire.Message, now time.Time) (_ []wire.Message, last bool) {
	if l.over {
		return msgs, true
	}
	if l.sayHello {
		l.sayHello = false
		msgs = append(msgs, n.hello(l.Peer(), now))
	}
	if l.bye != nil {
		return append(msgs, l.bye), true
	}
	if l.peer == nil {
		return msgs, false
	}
	if l.sayPulse {
		l.sayPulse = false
		msgs = append(msgs, n.nextPulse(l, now))
		for beats := n.exchange.NextBeats(l.peer, now); beats != nil; beats = n.exchange.NextBeats(l.peer, now) {
			msgs = append(msgs, beats)
		}
	}
	for len(msgs) < batch {
		msg := n.exchange.Next(l.peer, now)
		if msg == nil {
			break
		}
		msgs = append(msgs, msg)
		if exchange.Bulk(msg) {
			break // the next batch is drawn up when this one is written
		}
	}
	return msgs, false
}

// end ends a link from this side, saying why; the first reason stands.
func (n *Node) end(l *Link, reason wire.ByeReason, detail string) {
	if l.bye == nil && !l.over {
		l.bye = &wire.Bye{Reason: reason, Detail: detail}
		n.world.Wake(l)
	}
}

// Leaving ends a link because its stream's owner shuts down.
func (n *Node) Leaving(l *Link) { n.end(l, wire.ByeLeaving, "shutting down") }

// BrokeProtocol ends a link because what came on it was no frame.
func (n *Node) BrokeProtocol(l *Link, err error) {
	n.cfg.Log.Warn("link dropped", "peer", l.Peer(), "peer_name", l.PeerName(), "error", err)
	n.end(l, wire.ByeProtocol, err.Error())
}

// LinkCount returns how many links are up.
func (n *Node) LinkCount() int { return len(n.links) }

// Ended takes note that a link's stream is closed, and why.
func (n *Node) Ended(l *Link, err error, now time.Time) {
	if l.over {
		return
	}
	l.over = true
	n.greeted = remove(n.greeted, l)
	if l.peer != nil {
		n.links = remove(n.links, l)
		n.exchange.Disconnect(l.peer, now)
		if l.bye == nil && l.farewell == nil {
			n.lostSight(l, now)
		}
	}
	n.dialEnded(l, now)
	n.cfg.Log.Debug("link ended", "peer", l.Peer(), "peer_name", l.PeerName(), "error", err)
}

func remove(links []*Link, l *Link) []*Link {
	return slices.DeleteFunc(links, func(o *Link) bool { return o == l })
}

// arm makes the next check of links no later than at.
func (n *Node) arm(at time.Time) {
	if n.checkAt.IsZero() || at.Before(n.checkAt) {
		n.checkAt = at
	}
}

// checkLinks ends links that are silent for too long, and hints at peers that
// are about to be.
func (n *Node) checkLinks(now time.Time) {
	n.checkAt = time.Time{}
	for _, l := range slices.Clone(n.greeted) {
		if at := l.opened.Add(helloTimeout); due(at, now) {
			n.end(l, wire.ByeProtocol, "no hello in time")
		} else {
			n.arm(at)
		}
	}
	for _, l := range slices.Clone(n.links) {
		switch quiet := now.Sub(l.heard); {
		case quiet >= silence:
			n.end(l, wire.ByeProtocol, fmt.Sprintf("nothing came for %v", silence))
			continue
		case quiet >= missed:
			if !l.hinted {
				l.hinted = true
				n.lostSight(l, now)
			}
			n.arm(l.heard.Add(silence))
		default:
			n.arm(l.heard.Add(missed))
		}
		if l.outbound && due(l.compare, now) {
			l.compare = now.Add(compareEvery)
			n.exchange.Compare(l.peer)
		}
	}
}

// pulse gives links a sign of life; the signs of life of hosts travel with it.
// All links are written to at once, so that a node at rest wakes up once a
// second and not once for each. A peer that dialled is answered when its own
// pulse comes, for which this node wakes up in any case, and only given one
// here when it has none of late. What else was kept for now goes to all.
func (n *Node) pulse(now time.Time) {
	n.pulseAt = n.pulseAt.Add(pulseEvery)
	if !n.pulseAt.After(now) {
		n.pulseAt = now.Add(pulseEvery) // the process was stopped for a while
	}
	_ = n.isWhole(now)
	n.reviewHints(now)
	n.lookForLost(now)
	n.lookForMissaid(now)
	n.restRoot()
	n.exchange.CatchUp()
	for _, l := range n.links {
		l.sayPulse = l.sayPulse || l.outbound || now.Sub(l.echoAt) > unasked
		n.world.Wake(l)
	}
}

func (n *Node) nextPulse(l *Link, now time.Time) *wire.Pulse {
	l.number++
	l.sentAt = now
	msg := &wire.Pulse{Number: l.number, Ready: n.whole, Root: n.replica.Root()}
	if l.echo > 0 {
		msg.Echo, msg.HeldUS = l.echo, uint64(now.Sub(l.echoAt).Microseconds()) // not negative
	}
	return msg
}

func (l *Link) receivePulse(msg *wire.Pulse, now time.Time) {
	l.ready, l.hinted = msg.Ready, false
	l.echo, l.echoAt = msg.Number, now
	if msg.Echo == l.number && l.number > 0 {
		l.rtt = max(now.Sub(l.sentAt)-time.Duration(msg.HeldUS)*time.Microsecond, 0) // a peer's word
		if l.peer != nil {
			l.peer.RoundTrip(l.rtt)
		}
	}
}

// Status is what can be said of a link that is up.
type Status struct {
	Of *Link
	fleet.Link
}

// Links returns the links that are up, ordered by peer. Bytes are for the
// caller to fill in.
func (n *Node) Links(now time.Time) []Status {
	list := make([]Status, 0, len(n.links))
	for _, l := range n.links {
		list = append(list, Status{l, fleet.Link{
			Peer: l.hello.ID, PeerName: l.hello.Name, Outbound: l.outbound,
			UpMS: now.Sub(l.up).Milliseconds(), RTTMS: float64(l.rtt) / float64(time.Millisecond),
			Announced: l.peer.Announced(), Wanted: l.peer.Wanted(), Redundant: l.peer.Redundant(), Dirty: n.exchange.Dirty(l.peer),
		}})
	}
	slices.SortFunc(list, func(a, b Status) int { return a.Peer.Compare(b.Peer) })
	return list
}
