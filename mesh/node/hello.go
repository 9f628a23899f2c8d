package node

import (
	"fmt"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

func (n *Node) hello(peer fleet.UUID, now time.Time) *wire.Hello {
	return &wire.Hello{
		Protocol: Protocol, MinProtocol: MinProtocol, Label: n.cfg.Label,
		ID: n.cfg.ID, Role: n.cfg.Role, Name: n.cfg.Name, Gossip: n.cfg.Gossip,
		Ready: n.isWhole(now), Settled: n.epoch.settled, Yours: n.lifeOf(peer, now),
	}
}

// lifeOf returns what is held of a peer's own block, to tell it.
func (n *Node) lifeOf(id fleet.HostID, now time.Time) *wire.Life {
	b := n.replica.Block(id)
	if b == nil {
		return nil
	}
	h := b.Head()
	host, _ := b.Host()
	life := &wire.Life{Epoch: h.Epoch, Incarnation: h.Incarnation, Seq: h.Seq, Hardware: host.Hardware}
	if age, heard := n.replica.Age(id, now); heard {
		ms := uint64(age.Milliseconds()) // not negative
		life.AgeMS = &ms
	}
	return life
}

// receiveHello judges the peer, answers its hello where it dialled, and makes
// the link one of the node's.
func (n *Node) receiveHello(l *Link, hello *wire.Hello, now time.Time) {
	l.hello, l.ready = hello, hello.Ready
	bye := n.judge(l)
	if bye == nil {
		l.sayHello = !l.outbound
		bye = n.admit(l, now)
	}
	if bye != nil {
		if bye.Reason == wire.ByeVersion || bye.Reason == wire.ByeLabel || bye.Reason == wire.ByeIdentity {
			n.cfg.Log.Warn("no link possible", "peer", l.Peer(), "peer_name", hello.Name, "error", bye.Detail)
		}
		n.end(l, bye.Reason, bye.Detail)
	}
}

// judge returns why there can be no link with who said this hello, or nil.
func (n *Node) judge(l *Link) *wire.Bye {
	h := l.hello
	switch {
	case h.Label != n.cfg.Label:
		return &wire.Bye{Reason: wire.ByeLabel, Detail: fmt.Sprintf("this fleet's label is %q, not %q", n.cfg.Label, h.Label)}
	case h.MinProtocol > Protocol || h.Protocol < MinProtocol:
		return &wire.Bye{Reason: wire.ByeVersion, Detail: fmt.Sprintf("link protocol %d to %d is spoken here, %d to %d there; upgrade the older one", MinProtocol, Protocol, h.MinProtocol, h.Protocol)}
	case h.ID != l.must && !l.must.IsZero():
		return &wire.Bye{Reason: wire.ByeIdentity, Detail: fmt.Sprintf("the certificate is of %s, the hello of %s", l.must, h.ID)}
	case h.ID == n.cfg.ID:
		return &wire.Bye{Reason: wire.ByeIdentity, Detail: "this is the dialling node itself"}
	case !l.outbound && n.full():
		return &wire.Bye{Reason: wire.ByeFull, Detail: fmt.Sprintf("all %d links are taken", n.cfg.MaxInbound)}
	default:
		return nil
	}
}

// full reports whether more streams came in than are accepted, the one in
// question counted.
func (n *Node) full() bool {
	inbound := 0
	for _, list := range [...][]*Link{n.links, n.greeted} {
		for _, l := range list {
			if !l.outbound && l.bye == nil {
				inbound++
			}
		}
	}
	return inbound > n.cfg.MaxInbound || n.cfg.Role == fleet.RoleRegistry
}

// admit makes the link one of the node's, or says why not. Of two links with
// one peer the newer stays if the same side dialled both; otherwise the one
// that the side with the smaller id dialled: so both sides drop the same one.
func (n *Node) admit(l *Link, now time.Time) *wire.Bye {
	if n.closed {
		return &wire.Bye{Reason: wire.ByeLeaving, Detail: "shutting down"}
	}
	for _, other := range n.links {
		if other.hello.ID != l.hello.ID || other.bye != nil {
			continue
		}
		smaller := n.cfg.ID.Compare(l.hello.ID) < 0
		if other.outbound != l.outbound && l.outbound != smaller {
			return &wire.Bye{Reason: wire.ByeDuplicate, Detail: "another link of this pair stays"}
		}
		n.end(other, wire.ByeDuplicate, "another link of this pair stays")
	}
	l.peer = n.exchange.Connect(l.hello.ID, l.outbound, func() { n.world.Wake(l) }, now)
	if l.peer == nil {
		return &wire.Bye{Reason: wire.ByeFull, Detail: "all links are taken"}
	}
	l.up, l.compare = now, now.Add(n.jitter(compareEvery))
	n.greeted = remove(n.greeted, l)
	n.links = append(n.links, l)
	n.arm(now.Add(missed))
	n.dialSucceeded(l, now)
	if yours := l.hello.Yours; yours != nil && n.own.origin != nil {
		n.epoch.hearAge(yours)
		n.exchange.ToldSelf(l.peer, *yours, now)
		n.expireWants(now)
	}
	n.settleEpoch(now)
	n.world.Wake(l)
	return nil
}
