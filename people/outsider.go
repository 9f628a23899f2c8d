package people

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"grapevine/fleet"
)

// OIDCPrefix begins the name of everybody whom an OpenID provider vouches for. No
// user of the file has a colon in their name, so that neither is ever taken for
// the other: not by a quota, a revocation, or who reads the audit log.
const OIDCPrefix = "oidc:"

// MaxGroups bounds the groups that are looked at of one person.
const MaxGroups = 1000

// outsiderName is what an outsider may be called. Providers tell upper from lower
// case, so nothing is made the same that they keep apart.
var outsiderName = regexp.MustCompile(`^` + OIDCPrefix + `[A-Za-z0-9][A-Za-z0-9._@|+=~-]{0,119}$`)

// Outsider returns who somebody is that an OpenID provider calls by this name, and
// whom it has in these groups.
func Outsider(name string, groups []string) (Who, error) {
	who := Who{User: OIDCPrefix + name, outside: true, groups: groups}
	switch {
	case !outsiderName.MatchString(who.User):
		return Who{}, unauthenticated(fmt.Sprintf("the OpenID provider calls you %.80q, and a name has 1 to 120 letters, digits and . _ @ | + = ~ -, the first a letter or digit; an administrator can choose another claim (user_claim)", name))
	case len(groups) > MaxGroups:
		return Who{}, unauthenticated(fmt.Sprintf("the OpenID provider names %d groups; at most %d are looked at, so have it name fewer", len(groups), MaxGroups))
	}
	return who, nil
}

// roleOf returns the greatest role of somebody in a project, or in the fleet where
// that is more, and the group by which an outsider has it.
func (b *Book) roleOf(who Who, project string) (role Role, by string) {
	if !who.outside {
		return b.RoleIn(who.User, project), ""
	}
	for _, group := range who.groups {
		if r := b.groupRole(group, project); r.rank() > role.rank() {
			role, by = r, group
		}
	}
	return role, by
}

// groupRole returns the role of whoever is in a group.
func (b *Book) groupRole(group, project string) Role {
	p := b.projects[project]
	switch {
	case b.groups[group] != "":
		return b.groups[group]
	case p != nil && slices.Contains(p.MemberGroups, group):
		return Member
	case p != nil && slices.Contains(p.ReaderGroups, group):
		return Reader
	default:
		return ""
	}
}

// projectsOf returns the projects of somebody, in order.
func (b *Book) projectsOf(who Who) []string {
	if !who.outside {
		return b.ProjectsOf(who.User)
	}
	var out []string
	for _, p := range b.Projects() {
		if slices.ContainsFunc(who.groups, func(g string) bool { return slices.Contains(p.MemberGroups, g) || slices.Contains(p.ReaderGroups, g) }) {
			out = append(out, p.Name)
		}
	}
	return out
}

// stillOutside says why an outsider's token is good no more by what the file says
// now. Who is in the group is the provider's to say, when somebody logs in.
func (b *Book) stillOutside(t *Token) error {
	switch {
	case b.barred[t.User]:
		return unauthenticated("the token's user may not use this fleet any more")
	case b.groupRole(t.Group, t.Project).rank() < t.Role.rank():
		return unauthenticated("the group of the token's user has the role of it no more; log in again")
	}
	return nil
}

// checkTokenUser judges a name in a token: an outsider has a group, and a user of
// the file has none.
func checkTokenUser(t *Token) error {
	if strings.HasPrefix(t.User, OIDCPrefix) != (t.Group != "") {
		return &fleet.Error{Code: fleet.CodeInvalid, Detail: "the token's user and group do not fit"}
	}
	if t.Group == "" {
		return CheckUserName(t.User)
	}
	_, err := Outsider(strings.TrimPrefix(t.User, OIDCPrefix), nil)
	return err
}
