package people

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"grapevine/fleet"
	"grapevine/internal/settings"
)

// The file's limits, and what it says where it says nothing.
const (
	// MaxFileBytes bounds the file: 4,000 users with keys and projects.
	MaxFileBytes = 1 << 20
	// MaxTokenLife bounds how long a token is good for: as long has a revocation
	// to be kept.
	MaxTokenLife     = 24 * time.Hour
	minTokenLife     = time.Minute
	defaultTokenLife = time.Hour
	// defaultPerSecond is how many requests of one user a node serves each second.
	defaultPerSecond = 100
	maxPerSecond     = 100_000
)

// file is what the TOML says.
type file struct {
	TokenLife         time.Duration `toml:"token_life"`
	RequestsPerSecond int           `toml:"requests_per_second"`
	Users             []User        `toml:"users"`
	Projects          []Project     `toml:"projects"`
	Groups            []Group       `toml:"groups"`
	Barred            []string      `toml:"barred"`
}

// Group is one of an OpenID provider's that has a role in the whole fleet.
type Group struct {
	Name string `toml:"name"`
	Role Role   `toml:"role"` // Admin or Operator
}

// User is a person, or a program.
type User struct {
	Name string `toml:"name"`
	// Password is a PHC string, as HashPassword makes it; empty for none.
	Password string `toml:"password"`
	// Role is Admin or Operator, in the whole fleet; empty for one who has only
	// what projects give.
	Role     Role     `toml:"role"`
	Disabled bool     `toml:"disabled"`
	Keys     []APIKey `toml:"keys"`
}

// APIKey is a secret of a program, which stands for its user.
type APIKey struct {
	Name string `toml:"name"`
	// SHA256 is the hash of the key, which has 256 random bits: so a fast hash is
	// enough, unlike for a password.
	SHA256 string `toml:"sha256"`
	// Project is the one project that the key is for; empty for all of its user's.
	Project string `toml:"project"`
}

// Project is what instances, groups and key pairs belong to.
type Project struct {
	Name    string   `toml:"name"`
	Members []string `toml:"members"`
	Readers []string `toml:"readers"`
	// MemberGroups and ReaderGroups are groups of an OpenID provider, whoever is in
	// them.
	MemberGroups []string `toml:"member_groups"`
	ReaderGroups []string `toml:"reader_groups"`
	// Network is what an instance gets that asks for none; empty for the host's
	// default.
	Network string `toml:"network"`
	Quota   Quota  `toml:"quota"`
}

// Quota is what a project may take in all. Nil is no limit, 0 is nothing.
type Quota struct {
	Instances *int64 `toml:"instances" json:"instances,omitempty"`
	VCPUs     *int64 `toml:"vcpus" json:"vcpus,omitempty"`
	MemoryMiB *int64 `toml:"memory_mib" json:"memory_mib,omitempty"`
	DiskGiB   *int64 `toml:"disk_gib" json:"disk_gib,omitempty"`
}

// userName is what a user may be called: nothing that a header, a log line or a
// path would have to quote.
var userName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,63}$`)

// CheckUserName judges a user's name.
func CheckUserName(name string) error {
	if !userName.MatchString(name) {
		return &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf("user name %.80q is not 1 to 64 lower-case letters, digits and . _ @ -, the first a letter or digit; choose another", name)}
	}
	return nil
}

// Read reads the file, whose path is for errors: each is one sentence with the
// line at fault.
func Read(path string, text []byte) (*Book, error) {
	if len(text) > MaxFileBytes {
		return nil, fmt.Errorf("%s is %d bytes long; a users file is at most %d", path, len(text), MaxFileBytes)
	}
	f := file{TokenLife: defaultTokenLife, RequestsPerSecond: defaultPerSecond}
	if err := settings.Decode(path, text, &f); err != nil {
		return nil, err
	}
	c := checker{
		path: path, text: text, users: map[string]*User{}, projects: map[string]*Project{}, keys: map[[sha256.Size]byte]holder{},
		groups: map[string]Role{}, barred: map[string]bool{},
	}
	if err := c.check(&f); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(text)
	return &Book{
		hash: hex.EncodeToString(sum[:4]), life: f.TokenLife, perSecond: f.RequestsPerSecond,
		users: c.users, projects: c.projects, keys: c.keys, decoy: c.decoy(),
		groups: c.groups, barred: c.barred,
	}, nil
}
