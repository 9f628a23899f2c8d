package people

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"time"

	"grapevine/fleet"
)

// Book is a users file that was read. It never changes, and may be read from
// several goroutines at once.
type Book struct {
	hash      string
	life      time.Duration
	perSecond int
	users     map[string]*User
	projects  map[string]*Project
	keys      map[[sha256.Size]byte]holder
	decoy     phc
	groups    map[string]Role // that have a role in the whole fleet
	barred    map[string]bool // outsiders who are let in no more
}

// Hash is short, and the same at registries that have the same file.
func (b *Book) Hash() string { return b.hash }

// TokenLife is for how long a token is good.
func (b *Book) TokenLife() time.Duration { return b.life }

// RequestsPerSecond is how many requests of one user a node serves.
func (b *Book) RequestsPerSecond() int { return b.perSecond }

// Users returns all users, by name.
func (b *Book) Users() []*User {
	return slices.SortedFunc(maps.Values(b.users), func(a, b *User) int { return strings.Compare(a.Name, b.Name) })
}

// Projects returns all projects, by name.
func (b *Book) Projects() []*Project {
	return slices.SortedFunc(maps.Values(b.projects), func(a, b *Project) int { return strings.Compare(a.Name, b.Name) })
}

// Project returns a project; nil where the file has none of that name.
func (b *Book) Project(name string) *Project { return b.projects[name] }

// Who is somebody who has shown a password or a key.
type Who struct {
	User string
	// Key is the name of the API key, empty for a password.
	Key string
	// only is the project that the key is for.
	only string
	// outside is somebody whom an OpenID provider vouches for, who is in these of
	// its groups.
	outside bool
	groups  []string
}

// ErrWrong is the one answer to a wrong password, an unknown user, one who is
// disabled and an unknown key: nobody learns who is there.
var ErrWrong = &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the user or the password, or the API key, is wrong"}

// ByPassword returns who a password shows; else ErrWrong. It hashes once whoever
// is asked for, and so takes some 30 ms of a core and 19 MiB.
func (b *Book) ByPassword(user, password string) (Who, error) {
	u, hash := b.users[user], b.decoy
	able := u != nil && u.Password != "" && !u.Disabled
	if u != nil && u.Password != "" {
		hash, _ = parsePHC(u.Password) // it was read once already
	}
	if len(password) > MaxPasswordBytes {
		password = password[:MaxPasswordBytes] // and one byte too many never matches
		able = false
	}
	if right := hash.matches(password); !right || !able {
		return Who{}, ErrWrong
	}
	return Who{User: user}, nil
}

// ByKey returns who an API key shows; else ErrWrong. The key is looked for by its
// hash, so that how long it takes tells nothing of those that there are.
func (b *Book) ByKey(key string) (Who, error) {
	if len(key) > maxKeyBytes {
		return Who{}, ErrWrong
	}
	h, there := b.keys[sha256.Sum256([]byte(key))]
	if !there || h.user.Disabled {
		return Who{}, ErrWrong
	}
	return Who{User: h.user.Name, Key: h.key.Name, only: h.key.Project}, nil
}

// RoleIn returns the role that a user has in a project, or in the fleet where
// that is more; empty for none.
func (b *Book) RoleIn(user, project string) Role {
	u, p := b.users[user], b.projects[project]
	switch {
	case u == nil || u.Disabled:
		return ""
	case u.Role != "":
		return u.Role
	case p != nil && slices.Contains(p.Members, user):
		return Member
	case p != nil && slices.Contains(p.Readers, user):
		return Reader
	default:
		return ""
	}
}

// ProjectsOf returns the projects that name a user, in order.
func (b *Book) ProjectsOf(user string) []string {
	var out []string
	for _, p := range b.Projects() {
		if slices.Contains(p.Members, user) || slices.Contains(p.Readers, user) {
			out = append(out, p.Name)
		}
	}
	return out
}

// Grant is what somebody gets a token for.
type Grant struct {
	Who     Who
	Role    Role
	Project string
	// Group is that by which an outsider has the role; empty for users of the file.
	Group string
}

// Grant says what somebody gets a token for who asks for a project, or with an
// empty one for the only one that they have.
func (b *Book) Grant(who Who, project string) (Grant, error) {
	if b.barred[who.User] {
		return Grant{}, forbidden(who.User + " is barred in the users file; an administrator can let them in again")
	}
	if who.only != "" && cmp.Or(project, who.only) != who.only {
		return Grant{}, forbidden("this API key is for project " + who.only + " alone; leave the project out")
	}
	project = cmp.Or(project, who.only)
	if role, group := b.roleOf(who, project); role.FleetWide() {
		return b.fleetWide(Grant{who, role, project, group})
	}
	own := b.projectsOf(who)
	if project == "" && len(own) == 1 {
		project = own[0]
	}
	switch role, group := b.roleOf(who, project); {
	case role != "":
		return Grant{who, role, project, group}, nil
	case len(own) == 0 && who.outside:
		return Grant{}, forbidden("no group of " + who.User + " is named in the users file; an administrator gives groups a project (member_groups, reader_groups) or a role ([[groups]])")
	case len(own) == 0:
		return Grant{}, forbidden("user " + who.User + " has no project; an administrator names users in the projects of the users file")
	case project == "":
		return Grant{}, forbidden("user " + who.User + " has several projects; name one of them: " + strings.Join(own, ", "))
	default:
		return Grant{}, forbidden("user " + who.User + " has no such project; their own are: " + strings.Join(own, ", "))
	}
}

// fleetWide is the grant of an admin or an operator. A key that is for one
// project makes them no more than its member.
func (b *Book) fleetWide(g Grant) (Grant, error) {
	if g.Who.only != "" {
		g.Role, g.Project = Member, g.Who.only
		return g, nil
	}
	if g.Project != "" {
		if err := fleet.CheckName("project", g.Project); err != nil {
			return Grant{}, err
		}
	}
	return g, nil
}

func forbidden(detail string) error {
	return &fleet.Error{Code: fleet.CodeForbidden, Detail: detail}
}
