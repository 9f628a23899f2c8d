package wire

import "grapevine/fleet"

// Message is what a frame carries: one of the types in this file.
type Message interface{ kind() frameKind }

// frameKind tells frames apart; 7 bits.
type frameKind uint8

const (
	kindHello    frameKind = 1
	kindBye      frameKind = 2
	kindPulse    frameKind = 3
	kindBeats    frameKind = 4
	kindRoot     frameKind = 5
	kindBuckets  frameKind = 6
	kindParts    frameKind = 7
	kindRows     frameKind = 8
	kindAnnounce frameKind = 9
	kindWant     frameKind = 10
	kindAnswer   frameKind = 11
	kindPeers    frameKind = 12
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
	// AgeMS is how long ago the host was surely alive; nil where the sender has
	// had no sign of life of it.
	AgeMS *uint64
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

// Pulse is a sign of life of the sender itself, every second from either side.
// Echo is the number of the last pulse that it received, HeldUS how long ago
// in microseconds: so both sides know the round trip.
type Pulse struct {
	Number uint64
	Ready  bool // as in Hello
	Echo   uint64
	HeldUS uint64
	Root   uint64 // of the sender's replica; 0: not said
}

// Beats passes on signs of life of hosts.
type Beats struct{ Items []Beat }

// Beat is a host's sign of life in the version named. Number counts them
// within the epoch: it rises with every publication, and every 30 s without
// one. AgeMS is how long the sign was held on its way, all hops together.
type Beat struct {
	Tag    Tag
	Epoch  uint64
	Seq    uint64
	Number uint64
	AgeMS  uint64
}

// Peers says with whom the sender has links, when that has changed.
type Peers struct{ Tags []Tag }

// Root opens a comparison of all that both sides hold; the side that dialled
// sends it. Buckets answers.
type Root struct{ Root uint64 }

// BucketDigests answers a Root: none where the roots are equal, otherwise the
// sender's 256 bucket digests.
type BucketDigests struct{ Digests []uint64 }

// PartDigests answers BucketDigests where many hosts are held: the digests of
// the parts of each bucket that differs. Rows answers.
type PartDigests struct {
	Buckets [Buckets / 8]byte // bit map
	Digests []uint64          // PartsOfBucket for each bucket in the map
}

// Rows lists what the sender holds in the parts that differ. Its receiver
// answers with its own rows of the same parts, marked Answer.
type Rows struct {
	Covers  Cover
	Answer  bool
	Entries []Entry
}

// Entry is one host in Rows.
type Entry struct {
	Tag         Tag
	Epoch       uint64
	Incarnation uint64
	Seq         uint64
}

// Announce says which versions the sender newly holds.
type Announce struct{ Items []Announcement }

// Announcement is one host in an Announce.
type Announcement struct {
	Tag   Tag
	Epoch uint64
	Seq   uint64
}

// Want asks for hosts, naming what is held of each. The items are numbered in
// order, beginning with First, which numbers the wants of this side of the
// link.
type Want struct {
	First uint64
	Items []WantItem
}

// WantItem is one host in a Want, and what of it is held.
type WantItem struct {
	Tag  Tag
	Held Held
	// Epoch and Seq are of the version held, where one is named. Life is the low
	// 16 bits of its incarnation, which Held HeldSameLife names.
	Epoch uint64
	Seq   uint64
	Life  uint16
	// Incarnation and Hash are named by HeldOtherLife alone.
	Incarnation uint64
	Hash        Hash // of the rows held
}

// Held says how a want names what is held.
type Held uint8

// The ways. An asker that expects an answer within the life it holds names it
// shortly; one that expects another life names all, so that rows which did not
// change need not travel.
const (
	HeldNothing   Held = 0 // or all is wanted
	HeldSameLife  Held = 1
	HeldOtherLife Held = 2
)

// Answer brings what was wanted. In a delta of form Changes the head's host,
// incarnation and epoch and the delta's tag and since are left out on the
// wire: the receiver fills in those of its want.
type Answer struct{ Deltas []Delta }

func (*Hello) kind() frameKind         { return kindHello }
func (*Bye) kind() frameKind           { return kindBye }
func (*Pulse) kind() frameKind         { return kindPulse }
func (*Beats) kind() frameKind         { return kindBeats }
func (*Root) kind() frameKind          { return kindRoot }
func (*BucketDigests) kind() frameKind { return kindBuckets }
func (*PartDigests) kind() frameKind   { return kindParts }
func (*Rows) kind() frameKind          { return kindRows }
func (*Announce) kind() frameKind      { return kindAnnounce }
func (*Want) kind() frameKind          { return kindWant }
func (*Answer) kind() frameKind        { return kindAnswer }
func (*Peers) kind() frameKind         { return kindPeers }
