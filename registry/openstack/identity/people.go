package identity

import (
	"slices"

	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

// There is one domain.
const (
	defaultDomain     = "default"
	defaultDomainName = "Default"
)

func domainRow() map[string]any {
	return map[string]any{"id": defaultDomain, "name": defaultDomainName}
}

func userRow(name string) map[string]any {
	return map[string]any{"id": name, "name": name, "domain": domainRow(), "domain_id": defaultDomain, "enabled": true, "password_expires_at": nil}
}

func projectRow(c *service.Call, name string) map[string]any {
	return map[string]any{
		"id": name, "name": name, "domain_id": defaultDomain, "parent_id": defaultDomain, "is_domain": false, "enabled": true,
		"description": "", "tags": []string{}, "options": map[string]any{}, "links": map[string]any{"self": c.Base + Prefix + "/v3/projects/" + name},
	}
}

// projects are those that who asks may know of, with this name if one is given.
func projects(c *service.Call, name string) ([]string, error) {
	all, err := c.People.Projects(c.Context())
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range all {
		own := !c.Who.OfProject() || all[i].Name == c.Who.Person.Project
		if own && (name == "" || name == all[i].Name) {
			out = append(out, all[i].Name)
		}
	}
	return out, nil
}

func (k *keystone) listProjects(c *service.Call) (service.Reply, error) {
	names, err := projects(c, c.Query().Get("name"))
	return projectList(c, names, "/v3/projects", err)
}

func projectList(c *service.Call, names []string, path string, err error) (service.Reply, error) {
	rows := []any{}
	for _, name := range names {
		rows = append(rows, projectRow(c, name))
	}
	return service.Reply{Body: map[string]any{"projects": rows, "links": self(c, path)}}, err
}

func (k *keystone) showProject(c *service.Call) (service.Reply, error) {
	name := c.Path("id")
	names, err := projects(c, name)
	if err == nil && len(names) == 0 {
		err = service.NotFound("Project", name)
	}
	return service.Reply{Body: map[string]any{"project": projectRow(c, name)}}, err
}

// users are those that who asks may know of: members and readers know themselves.
func users(c *service.Call, name string) ([]fleet.User, error) {
	all, err := c.People.Users(c.Context())
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(u fleet.User) bool {
		return name != "" && u.Name != name || c.Who.OfProject() && u.Name != c.Who.Person.User
	}), nil
}

func (k *keystone) listUsers(c *service.Call) (service.Reply, error) {
	known, err := users(c, c.Query().Get("name"))
	rows := []any{}
	for i := range known {
		rows = append(rows, shownUser(&known[i]))
	}
	return service.Reply{Body: map[string]any{"users": rows, "links": self(c, "/v3/users")}}, err
}

func shownUser(u *fleet.User) map[string]any {
	row := userRow(u.Name)
	row["enabled"] = !u.Disabled
	return row
}

func (k *keystone) oneUser(c *service.Call) (fleet.User, error) {
	name := c.Path("id")
	known, err := users(c, name)
	switch {
	case err != nil:
		return fleet.User{}, err
	case len(known) > 0:
		return known[0], nil
	case name == c.Who.Person.User: // of an OpenID provider, whose people are in no file
		return fleet.User{Name: name, Projects: []string{c.Who.Person.Project}}, nil
	default:
		return fleet.User{}, service.NotFound("User", name)
	}
}

func (k *keystone) showUser(c *service.Call) (service.Reply, error) {
	u, err := k.oneUser(c)
	return service.Reply{Body: map[string]any{"user": shownUser(&u)}}, err
}

func (k *keystone) listUserProjects(c *service.Call) (service.Reply, error) {
	u, err := k.oneUser(c)
	return projectList(c, u.Projects, "/v3/users/"+u.Name+"/projects", err)
}

func (k *keystone) listDomains(c *service.Call) (service.Reply, error) {
	rows := []any{}
	if name := c.Query().Get("name"); name == "" || name == defaultDomainName {
		rows = append(rows, shownDomain(c))
	}
	return service.OK(map[string]any{"domains": rows, "links": self(c, "/v3/domains")})
}

func (k *keystone) showDomain(c *service.Call) (service.Reply, error) {
	if c.Path("id") != defaultDomain {
		return service.Reply{}, service.NotFound("Domain", c.Path("id"))
	}
	return service.OK(map[string]any{"domain": shownDomain(c)})
}

func shownDomain(c *service.Call) map[string]any {
	row := domainRow()
	row["enabled"], row["description"], row["links"] = true, "", self(c, "/v3/domains/"+defaultDomain)
	return row
}
