package fleet

import (
	"cmp"
	"slices"
	"time"
)

// Role says what a member of the mesh is.
type Role string

// The roles. A registry listens and owns no block.
const (
	RoleAgent    Role = "agent"
	RoleRegistry Role = "registry"
)

// MemberStatus is what the failure detector says of a member.
type MemberStatus string

// The statuses, in Serf's words.
const (
	MemberAlive   MemberStatus = "alive"
	MemberLeaving MemberStatus = "leaving"
	MemberLeft    MemberStatus = "left"
	MemberFailed  MemberStatus = "failed"
)

// Member is one process in the mesh.
type Member struct {
	ID       UUID         `json:"id"` // host id of an agent; own id of a registry
	Name     string       `json:"name"`
	Role     Role         `json:"role"`
	Status   MemberStatus `json:"status"`
	Gossip   string       `json:"gossip"` // host:port
	API      string       `json:"api"`    // host:port
	Protocol int          `json:"protocol"`
	// Issues: it holds a CA, and renews certificates.
	Issues bool `json:"issues,omitempty"`
	Alike
	// DiffersMS is for how long the answering registry has known that this one has
	// another users file or other settings; 0 where they are the same.
	DiffersMS int64 `json:"differs_ms,omitempty"`
	// Since is when the answering node first saw the member in this status, by
	// that node's wall clock, for people; SinceMS is how many milliseconds ago
	// that was by its monotonic clock.
	Since   time.Time `json:"since"`
	SinceMS int64     `json:"since_ms"`
}

// Alike is what all registries have to have alike: hashes of 6 hexadecimal digits,
// empty where a member does not say.
type Alike struct {
	// UsersFile is the beginning of the SHA-256 of the users file; "none" without one.
	// So short a hash of a file with 256 random bits for each secret tells nothing
	// by which a secret could be guessed.
	UsersFile string `json:"users_file,omitempty"`
	// Settings is that of the configuration that has to be the same everywhere.
	Settings string `json:"settings,omitempty"`
}

// AlikeDigits is how long the hashes of an Alike are.
const AlikeDigits = 6

// DiffersAfter is for how long a new users file may be on its way to all
// registries: those that differ for longer are a finding.
const DiffersAfter = time.Minute

// Differs says what two registries that both say what they have do not have
// alike: users_file, settings, both or nothing.
func (a Alike) Differs(b Alike) []string {
	var out []string
	if a.UsersFile != "" && b.UsersFile != "" && a.UsersFile != b.UsersFile {
		out = append(out, "users_file")
	}
	if a.Settings != "" && b.Settings != "" && a.Settings != b.Settings {
		out = append(out, "settings")
	}
	return out
}

// Link is one stream between this node and a peer, over which blocks travel.
type Link struct {
	Peer     UUID    `json:"peer"`
	PeerName string  `json:"peer_name"`
	Outbound bool    `json:"outbound"`
	UpMS     int64   `json:"up_ms"`
	RTTMS    float64 `json:"rtt_ms"` // of the last pulse that the peer echoed; 0 before the first
	// SentBytes and ReceivedBytes count frames, before TLS.
	SentBytes     uint64 `json:"sent_bytes"`
	ReceivedBytes uint64 `json:"received_bytes"`
	Announced     uint64 `json:"announced"` // versions announced to the peer, or pushed to it
	Wanted        uint64 `json:"wanted"`    // blocks or changes asked of the peer
	// Redundant counts answers of the peer that brought nothing new: copies that
	// had come over another link meanwhile.
	Redundant uint64 `json:"redundant"`
	Dirty     int    `json:"dirty"` // hosts whose newest version the peer still lacks
}

// DigestRow is what this node holds of one host.
type DigestRow struct {
	Host     HostID  `json:"host"`
	HostName string  `json:"host_name"`
	Version  Version `json:"version"`
	// Incarnation tells two lives of a journal apart that reached one epoch.
	Incarnation string `json:"incarnation"` // 16 hexadecimal digits
	Rows        int    `json:"rows"`
	Bytes       int    `json:"bytes"`
	Hash        string `json:"hash"` // 32 hexadecimal digits, over the rows
}

// Digest summarises all that this node holds. Two nodes with equal roots hold
// the same fleet.
type Digest struct {
	Root string      `json:"root"` // 16 hexadecimal digits
	Rows []DigestRow `json:"items"`
}

// LagRow says how far this node's copy of a host is behind the host itself.
type LagRow struct {
	Host         HostID       `json:"host"`
	HostName     string       `json:"host_name"`
	AgeMS        int64        `json:"age_ms"`
	Reachability Reachability `json:"reachability"`
	Version      Version      `json:"version"`
	// Wanted is the newest version announced to this node, where that is newer.
	Wanted Version `json:"wanted"`
}

// Lag says how old a node's view of the fleet is: of the hosts that can be
// heard, whose ages say how well the mesh does, of all known ones, and of each.
type Lag struct {
	Heard Ages `json:"heard"`
	Known Ages `json:"known"`
	// Behind counts the hosts of which a newer version was announced to this
	// node than it holds.
	Behind   int      `json:"behind"`
	Rows     []LagRow `json:"items"` // the oldest first
	Coverage Coverage `json:"coverage"`
}

// Ages sums up the ages of so many hosts, in milliseconds. All are 0 for none.
type Ages struct {
	Hosts int   `json:"hosts"`
	P50MS int64 `json:"p50_ms"`
	P99MS int64 `json:"p99_ms"`
	MaxMS int64 `json:"max_ms"`
}

// AgesOf sums up ages in milliseconds, which it sorts. A percentile is the age
// that so many of the hosts, rounded up to whole ones, do not exceed.
func AgesOf(ms []int64) Ages {
	if len(ms) == 0 {
		return Ages{}
	}
	slices.Sort(ms)
	at := func(percent int) int64 { return ms[(len(ms)*percent+99)/100-1] }
	return Ages{Hosts: len(ms), P50MS: at(50), P99MS: at(99), MaxMS: ms[len(ms)-1]}
}

// OlderFirst orders rows of lag by age, the oldest first, then by name and id.
func OlderFirst(a, b LagRow) int {
	return cmp.Or(cmp.Compare(b.AgeMS, a.AgeMS), cmp.Compare(a.HostName, b.HostName), a.Host.Compare(b.Host))
}
