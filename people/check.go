package people

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"grapevine/fleet"
	"grapevine/internal/settings"
)

// checker judges a file that was decoded, and collects what it says.
type checker struct {
	path     string
	text     []byte
	users    map[string]*User
	projects map[string]*Project
	keys     map[[sha256.Size]byte]holder
	groups   map[string]Role
	barred   map[string]bool
	costly   phc // the costliest of the passwords' hashes
}

// holder is who has an API key.
type holder struct {
	user *User
	key  *APIKey
}

func (c *checker) check(f *file) error {
	if f.TokenLife < minTokenLife || f.TokenLife > MaxTokenLife {
		return fmt.Errorf("%s: token_life is %s; it must be %s to %s", c.path, f.TokenLife, minTokenLife, MaxTokenLife)
	}
	if f.RequestsPerSecond < 1 || f.RequestsPerSecond > maxPerSecond {
		return fmt.Errorf("%s: requests_per_second is %d; it must be 1 to %d", c.path, f.RequestsPerSecond, maxPerSecond)
	}
	for i := range f.Users {
		if err := c.user(&f.Users[i]); err != nil {
			return c.at("users", i, err)
		}
	}
	for i := range f.Projects {
		if err := c.project(&f.Projects[i]); err != nil {
			return c.at("projects", i, err)
		}
	}
	for i := range f.Groups {
		if err := c.group(&f.Groups[i]); err != nil {
			return c.at("groups", i, err)
		}
	}
	for _, name := range f.Barred {
		if !outsiderName.MatchString(name) {
			return fmt.Errorf("%s: barred names %.80q, which is not the name of somebody whom an OpenID provider vouches for, as %salice; users of this file are disabled where they stand", c.path, name, OIDCPrefix)
		}
		c.barred[name] = true
	}
	for i := range f.Users {
		for _, k := range f.Users[i].Keys {
			if k.Project != "" && c.projects[k.Project] == nil {
				return c.at("users", i, fmt.Errorf("key %q of user %q is for project %.80q, which is not in the file", k.Name, f.Users[i].Name, k.Project))
			}
		}
	}
	return nil
}

// at says where an entry of a list begins that is at fault.
func (c *checker) at(table string, i int, err error) error {
	if lines := settings.TableLines(string(c.text), table); i < len(lines) {
		return fmt.Errorf("%s:%d: %w", c.path, lines[i], err)
	}
	return fmt.Errorf("%s: %s, number %d: %w", c.path, table, i+1, err)
}

func (c *checker) user(u *User) error {
	if err := CheckUserName(u.Name); err != nil {
		return err
	}
	if c.users[u.Name] != nil {
		return fmt.Errorf("user %q is there twice; remove one", u.Name)
	}
	if u.Role != "" && !u.Role.FleetWide() {
		return fmt.Errorf("role %.40q of user %q is neither admin nor operator; members and readers are named by projects", string(u.Role), u.Name)
	}
	if u.Password != "" {
		hash, err := parsePHC(u.Password)
		if err != nil {
			return fmt.Errorf("password of user %q: %w", u.Name, err)
		}
		if hash.cost() > c.costly.cost() {
			c.costly = hash
		}
	}
	names := map[string]bool{}
	for i := range u.Keys {
		k := &u.Keys[i]
		if err := c.key(u, k); err != nil {
			return err
		}
		if names[k.Name] {
			return fmt.Errorf("user %q has two keys named %q; rename one", u.Name, k.Name)
		}
		names[k.Name] = true
	}
	c.users[u.Name] = u
	return nil
}

func (c *checker) key(u *User, k *APIKey) error {
	if err := fleet.CheckName("key name", k.Name); err != nil {
		return fmt.Errorf("user %q: %w", u.Name, err)
	}
	var sum [sha256.Size]byte
	if n, err := hex.Decode(sum[:], []byte(k.SHA256)); err != nil || n != len(sum) || len(k.SHA256) != 2*len(sum) {
		return fmt.Errorf("sha256 of key %q of user %q is not 64 hexadecimal digits; make a key with: grapevine user new-key", k.Name, u.Name)
	}
	if other, there := c.keys[sum]; there {
		return fmt.Errorf("key %q of user %q is also key %q of user %q; make one of its own with: grapevine user new-key", k.Name, u.Name, other.key.Name, other.user.Name)
	}
	c.keys[sum] = holder{u, k}
	return nil
}

func (c *checker) project(p *Project) error {
	if err := fleet.CheckName("project", p.Name); err != nil {
		return err
	}
	if c.projects[p.Name] != nil {
		return fmt.Errorf("project %q is there twice; remove one", p.Name)
	}
	seen := map[string]bool{}
	for _, list := range [][]string{p.Members, p.Readers} {
		for _, name := range list {
			if c.users[name] == nil {
				return fmt.Errorf("project %q names user %.80q, who is not in the file", p.Name, name)
			}
			if seen[name] {
				return fmt.Errorf("project %q names user %q twice; a member reads as well", p.Name, name)
			}
			seen[name] = true
		}
	}
	for _, group := range slices.Concat(p.MemberGroups, p.ReaderGroups) {
		if err := fleet.CheckName("group", group); err != nil {
			return fmt.Errorf("project %q: %w", p.Name, err)
		}
		if seen["group "+group] {
			return fmt.Errorf("project %q names group %q twice; a member reads as well", p.Name, group)
		}
		seen["group "+group] = true
	}
	if p.Network != "" {
		if err := fleet.CheckNICs([]fleet.NIC{{Network: p.Network}}); err != nil {
			return fmt.Errorf("network of project %q: %w", p.Name, err)
		}
	}
	for _, limit := range p.Quota.limits() {
		if limit.most != nil && *limit.most < 0 {
			return fmt.Errorf("quota of project %q: %s is %d; use 0 for nothing, or leave it out for no limit", p.Name, limit.resource, *limit.most)
		}
	}
	c.projects[p.Name] = p
	return nil
}

func (c *checker) group(g *Group) error {
	if err := fleet.CheckName("group", g.Name); err != nil {
		return err
	}
	if !g.Role.FleetWide() {
		return fmt.Errorf("role %.40q of group %q is neither admin nor operator; groups of members and readers are named by projects (member_groups, reader_groups)", string(g.Role), g.Name)
	}
	if c.groups[g.Name] != "" {
		return fmt.Errorf("group %q is there twice; remove one", g.Name)
	}
	c.groups[g.Name] = g.Role
	return nil
}

// decoy is the hash that is worked out for a user who is not there: of the
// costliest kind that there is, so that the time tells nothing.
func (c *checker) decoy() phc {
	if c.costly.cost() == 0 {
		c.costly = newPHC()
	}
	c.costly.salt, c.costly.sum = make([]byte, saltBytes), make([]byte, sumBytes)
	return c.costly
}
