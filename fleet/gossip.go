package fleet

import (
	"crypto/sha256"
	"encoding/hex"
)

// RoundTrip is how long a packet takes from one member to another and back.
type RoundTrip struct {
	From     UUID    `json:"from"`
	FromName string  `json:"from_name"`
	To       UUID    `json:"to"`
	ToName   string  `json:"to_name"`
	RTTMS    float64 `json:"rtt_ms"`
	// Measured is true of a ping that was answered just now, and false of an
	// estimate from the members' network coordinates.
	Measured bool `json:"measured"`
}

// GossipKeyAction says what to do with a gossip key.
type GossipKeyAction string

// The actions, in the order in which a key is rotated: install the new one,
// use it, remove the old one.
const (
	GossipKeyList    GossipKeyAction = ""        // change nothing
	GossipKeyInstall GossipKeyAction = "install" // every member also reads what is encrypted with it
	GossipKeyUse     GossipKeyAction = "use"     // every member encrypts with it
	GossipKeyRemove  GossipKeyAction = "remove"  // every member forgets it
)

// GossipKeyChange asks for a change of gossip keys at every member. The zero value
// only lists.
type GossipKeyChange struct {
	Action GossipKeyAction `json:"action"`
	// Key is the key itself, base64 of 16, 24 or 32 bytes; of a key that the
	// asked node holds its fingerprint will do. Empty with GossipKeyInstall: a new
	// one is drawn.
	Key string `json:"key,omitempty"`
	// Force uses a key although some members lack it. They are cut off.
	Force bool `json:"force,omitempty"`
}

// GossipKey is one key and how many members hold it. The key itself is never
// shown.
type GossipKey struct {
	Fingerprint string `json:"fingerprint"` // see GossipKeyFingerprint
	Members     int    `json:"members"`     // that can read with it
	Primary     int    `json:"primary"`     // that encrypt with it
}

// GossipKeyReport is what the members answered.
type GossipKeyReport struct {
	// Keys are ordered by how many members encrypt with them, most first.
	Keys []GossipKey `json:"items"`
	// Changed is the fingerprint of the key that the change was about.
	Changed string `json:"changed,omitempty"`
	// Members are those alive when the question was asked, Answered those of
	// them that answered.
	Members  int `json:"members"`
	Answered int `json:"answered"`
	// Errors are the members that failed or did not answer, ordered by id.
	Errors []MemberError `json:"errors"`
}

// MemberError is what one member could not do.
type MemberError struct {
	ID    UUID   `json:"id"`
	Name  string `json:"name"`
	Error string `json:"error"`
}

// GossipKeyFingerprint names a gossip key without telling it: the first 12
// hexadecimal digits of its SHA-256.
func GossipKeyFingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:6])
}
