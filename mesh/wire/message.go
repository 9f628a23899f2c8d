package wire

import "grapevine/fleet"

// Message is what one frame carries; the types of this file are all there are.
type Message interface{ kind() frameKind }

// frameKind is the byte that tells frames apart.
type frameKind uint8

const (
	kindHello    frameKind = 1
	kindBye      frameKind = 2
	kindPing     frameKind = 3
	kindPong     frameKind = 4
	kindRoot     frameKind = 5
	kindBuckets  frameKind = 6
	kindRows     frameKind = 7
	kindAnnounce frameKind = 8
	kindWant     frameKind = 9
	kindAnswer   frameKind = 10
)

// Hello is the first frame of either side.
type Hello struct {
	Protocol    uint32 // the highest version that the sender speaks
	MinProtocol uint32 // the lowest one
	Label       string // of the fleet
	ID          fleet.UUID
	Role        fleet.Role
	Name        string
	Gossip      string // where the sender's gossip is reached, host:port
	Ready       bool   // the sender holds the whole fleet, as far as it can know
	Settled     bool   // the sender publishes its own block, or owns none
	Yours       *Life  // what the sender holds of the receiver's own block
}

// Life is what is told of a host's block to the host itself.
type Life struct {
	Epoch       uint64
	Incarnation uint64
	Seq         uint64
	Hardware    string // fingerprint in that block; empty where it cannot be read
}

// ByeReason says why a side ends the link.
type ByeReason uint32

// The reasons.
const (
	ByeLeaving   ByeReason = 1 // the sender shuts down
	ByeFull      ByeReason = 2 // the sender has all the links it accepts
	ByeDuplicate ByeReason = 3 // another link of this pair stays
	ByeRedrawn   ByeReason = 4 // the sender chose another peer
	ByeVersion   ByeReason = 5 // no protocol version in common
	ByeLabel     ByeReason = 6 // another fleet
	ByeIdentity  ByeReason = 7 // the sender is not who was asked for, or is the receiver
	ByeProtocol  ByeReason = 8 // the receiver broke the protocol
)

// Bye is the last frame of its sender, where there is time for one.
type Bye struct {
	Reason ByeReason
	Detail string // for people
}

// Ping is sent every second by the side that dialled; Pong answers it, and
// either is a sign of life.
type Ping struct {
	Number uint64
	Ready  bool // as in Hello
}

// Pong answers the Ping with the same number.
type Pong struct {
	Number uint64
	Ready  bool // as in Hello
}

// Root opens a comparison of all that both sides hold; the side that dialled
// sends it. Buckets answers.
type Root struct{ Root uint64 }

// BucketDigests answers a Root: none where the roots are equal, otherwise the
// sender's 256 bucket digests.
type BucketDigests struct{ Digests []uint64 }

// Rows lists what the sender holds in the buckets that differ. The first is
// sent on BucketDigests; its receiver answers with its own rows of the same
// buckets, marked Answer.
type Rows struct {
	Buckets [Buckets / 8]byte // bit map
	Answer  bool
	Entries []Entry
}

// Covers reports whether bucket is among those listed.
func (r *Rows) Covers(bucket int) bool { return r.Buckets[bucket/8]&(1<<(bucket%8)) != 0 }

// Cover adds bucket to those listed.
func (r *Rows) Cover(bucket int) { r.Buckets[bucket/8] |= 1 << (bucket % 8) }

// Entry is one host in Rows.
type Entry struct {
	Tag         Tag
	Epoch       uint64
	Incarnation uint64
	Seq         uint64
}

// Announce says which versions the sender newly holds.
type Announce struct{ Items []Announcement }

// Announcement is one host in an Announce. Beat counts the host's signs of
// life within its epoch: it rises with every publication, and every 30 s
// without one. AgeMS is how long the sign was held on its way, all hops
// together. Beat 0 says nothing.
type Announcement struct {
	Tag   Tag
	Epoch uint64
	Seq   uint64
	Beat  uint64
	AgeMS uint64
}

// Want asks for hosts, naming what is held of each.
type Want struct{ Items []WantItem }

// WantItem is one host in a Want. Epoch, Incarnation and Seq are of the
// version held, zero for none; Hash is of its rows, and set where the answer
// may be of another epoch.
type WantItem struct {
	Tag         Tag
	Epoch       uint64
	Incarnation uint64
	Seq         uint64
	Hash        Hash
	Ask         uint64 // numbers the wants of this side of the link, from 1
}

// Answer brings what was wanted. In a delta of form Changes the head's host,
// incarnation and epoch are left out on the wire: the receiver fills in those
// of its want.
type Answer struct{ Deltas []Delta }

func (*Hello) kind() frameKind         { return kindHello }
func (*Bye) kind() frameKind           { return kindBye }
func (*Ping) kind() frameKind          { return kindPing }
func (*Pong) kind() frameKind          { return kindPong }
func (*Root) kind() frameKind          { return kindRoot }
func (*BucketDigests) kind() frameKind { return kindBuckets }
func (*Rows) kind() frameKind          { return kindRows }
func (*Announce) kind() frameKind      { return kindAnnounce }
func (*Want) kind() frameKind          { return kindWant }
func (*Answer) kind() frameKind        { return kindAnswer }
