package fleet

import (
	"cmp"
	"strconv"
	"time"
)

// A key of the fleet is something that at most one instance may have: an
// idempotency key, a name that its project wants to be unique, a place in an
// anti-affinity group. Where the fleet has a witness set, a key is granted by
// a majority of the witnesses.

// GrantRound is how long one round of questions to the witnesses may take by
// the asker's own clock: one that took longer has granted nothing. GrantLife is
// how long, by its own clock, a witness without a memory waits until no round
// can be under way that it took part in. They are four apart, so that the
// clocks may run at rates that are: nobody compares times.
const (
	GrantLife  = 40 * time.Second
	GrantRound = GrantLife / 4
)

// GrantKeep is how long a key outlives an instance that never came, or is gone
// and had an idempotency key: a create that is retried within it is answered
// and not done again. A name or a place is free ReleaseAfter its instance is
// gone.
const (
	GrantKeep    = 24 * time.Hour
	ReleaseAfter = time.Minute
)

// GrantKind says what a key is.
type GrantKind string

// The kinds of keys.
const (
	GrantCreate GrantKind = "create" // an idempotency key; the key is the instance's id
	GrantName   GrantKind = "name"
	GrantSlot   GrantKind = "slot"
	GrantSet    GrantKind = "set" // the next witness set itself
)

// The name spaces of keys.
var (
	nameSpace = UUID{0x6e, 0x61, 0x6d, 0x65, 0x67, 0x72, 0x61, 0x70, 0x65, 0x76, 0x69, 0x6e, 0x65}
	slotSpace = UUID{0x73, 0x6c, 0x6f, 0x74, 0x67, 0x72, 0x61, 0x70, 0x65, 0x76, 0x69, 0x6e, 0x65}
	setSpace  = UUID{0x77, 0x73, 0x65, 0x74, 0x67, 0x72, 0x61, 0x70, 0x65, 0x76, 0x69, 0x6e, 0x65}
)

// NameKey is the key of a name that project has at most once.
func NameKey(project, name string) UUID { return NewUUIDv5(NewUUIDv5(nameSpace, project), name) }

// SlotKey is the key of the one place that an anti-affinity group has on a
// host.
func SlotKey(group string, host HostID) UUID {
	return NewUUIDv5(NewUUIDv5(slotSpace, group), host.String())
}

// SetKey is the key of the witness set with this number.
func SetKey(number uint64) UUID {
	return NewUUIDv5(setSpace, strconv.FormatUint(number, 10))
}

// Ballot orders the rounds in which a key is asked for. Two rounds never have
// the same: Asker is drawn anew for each request.
type Ballot struct {
	Round uint64 `json:"round"` // from 1
	Asker UUID   `json:"asker"`
}

// Compare orders ballots: -1, 0 or +1.
func (b Ballot) Compare(o Ballot) int {
	return cmp.Or(cmp.Compare(b.Round, o.Round), b.Asker.Compare(o.Asker))
}

// IsZero reports whether b is no ballot: it is before all others.
func (b Ballot) IsZero() bool { return b == Ballot{} }

// Grant is what a key was given to.
type Grant struct {
	// KeyRecord is as a key's home would keep it. Its attempt counts the changes
	// of this key, and of a key that is not an idempotency key the request hash is
	// empty.
	KeyRecord
	// Token is the request that stored this, drawn at random: it alone may act on
	// it. A request whose question was lost recognizes by it what it stored.
	Token UUID `json:"token"`
	// Set is the witness set that a key of the kind GrantSet was given to.
	Set *WitnessSet `json:"set,omitempty"`
}

// GrantChange is a compare-and-set on a key: Grant is to be stored if the
// attempt held is IfAttempt (0: nothing held). Without Grant it only asks.
type GrantChange struct {
	Grant     *Grant
	IfAttempt uint32
}

// Apply returns what a key holds after the change, and whether that is what was
// to be stored. Held is nil for a key that holds nothing.
func (c GrantChange) Apply(held *Grant) (next *Grant, stored bool) {
	want := c.Grant
	switch {
	case want == nil:
		return held, false
	case held == nil:
		if c.IfAttempt == 0 {
			return want, true
		}
		return nil, false
	case held.Token == want.Token && held.Attempt == want.Attempt:
		return held, true // stored before, and the answer was lost
	case !want.Succeeds(&held.KeyRecord, c.IfAttempt):
		return held, false
	}
	return want, true
}

// GrantAsk is a question to one witness, the body of PUT /v1/grants/{key}, a
// node route. Without Grant it asks for a promise: to accept nothing under an
// earlier ballot, and to tell what it has accepted. With it, it asks to accept.
type GrantAsk struct {
	// Number is that of the witness set by which the asker counts majorities.
	Number uint64 `json:"number"`
	Key    UUID   `json:"key"`
	Ballot Ballot `json:"ballot"`
	Grant  *Grant `json:"grant,omitempty"`
}

// Validate judges a question that another node puts.
func (a *GrantAsk) Validate() error {
	switch {
	case a.Number == 0, a.Key.IsZero(), a.Ballot.Round == 0, a.Ballot.Asker.IsZero():
		return &Error{Code: CodeInvalid, Detail: "the question names no witness set, no key, no round or no asker"}
	case a.Grant == nil:
		return nil
	case a.Grant.Attempt == 0, a.Grant.Token.IsZero(), len(a.Grant.RequestHash) > MaxNameBytes:
		return &Error{Code: CodeInvalid, Detail: "the grant has no attempt, no token, or a hash that is none"}
	case (a.Grant.Kind == GrantSet) != (a.Grant.Set != nil):
		return &Error{Code: CodeInvalid, Detail: "a witness set is granted under a key of its own kind"}
	case a.Grant.Set != nil:
		return a.Grant.Set.Validate()
	}
	return nil
}

// GrantAnswer is a witness's answer. What it says is in its journal.
type GrantAnswer struct {
	// OK is whether the promise was given, or the grant accepted.
	OK bool `json:"ok"`
	// Promised is the ballot that the witness has promised; one that stands in the
	// way where OK is false.
	Promised Ballot `json:"promised"`
	// Accepted and Grant are what it accepted last, zero and nil for nothing.
	Accepted Ballot `json:"accepted"`
	Grant    *Grant `json:"grant,omitempty"`
	// Floor is the highest round of which the witness has forgotten something: a
	// key that it does not know is asked for above it.
	Floor uint64 `json:"floor,omitempty"`
	// Set is the set that the witness goes by, where it is not the asker's.
	Set *WitnessSet `json:"set,omitempty"`
}

// GrantEntry is what a witness has of one key.
type GrantEntry struct {
	Key      UUID   `json:"key"`
	Promised Ballot `json:"promised"`
	Accepted Ballot `json:"accepted,omitzero"`
	Grant    *Grant `json:"grant,omitempty"`
}

// GrantPage is a part of all that a witness has, in the order of keys, the body
// of the answer to GET /v1/grants, a node route.
type GrantPage struct {
	Number  uint64       `json:"number"` // that of the witness's set
	Floor   uint64       `json:"floor"`
	Entries []GrantEntry `json:"entries"`
	More    bool         `json:"more"`
}
