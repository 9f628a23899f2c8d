package compute

import (
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// maxPage is how many servers a page has at most, and how many where no limit is
// given, as in Nova (max_limit).
const maxPage = 1000

// filters are those of a list of servers that are heeded.
var filters = []string{"name", "status", "host", "image", "flavor", "all_tenants", "tenant_id", "project_id", "limit", "marker", "deleted", "ip", "uuid"}

// wanted reports whether a server is among those that a list is to show.
type wanted func(*fleet.Instance, *service.Call) bool

// match reads the filters that the core does not have.
func match(query url.Values) (wanted, error) {
	name, err := pattern("name", query.Get("name"))
	if err != nil {
		return nil, err
	}
	ip, err := pattern("ip", query.Get("ip"))
	if err != nil {
		return nil, err
	}
	statuses, image, flavor, uuid := query["status"], query.Get("image"), query.Get("flavor"), query.Get("uuid")
	return func(i *fleet.Instance, _ *service.Call) bool {
		return (name == nil || name.MatchString(i.Name)) &&
			(ip == nil || slices.ContainsFunc(i.Addresses, ip.MatchString)) &&
			(image == "" || image == ids.Image(i.Image)) &&
			(flavor == "" || flavor == i.Flavor) &&
			(uuid == "" || uuid == i.ID.String()) &&
			(len(statuses) == 0 || slices.ContainsFunc(statuses, func(s string) bool { return strings.EqualFold(s, statusOf(i).status) }))
	}, nil
}

// maxPattern bounds a regular expression of a client's.
const maxPattern = 256

func pattern(filter, text string) (*regexp.Regexp, error) {
	if text == "" {
		return nil, nil
	}
	if len(text) > maxPattern {
		return nil, service.Fail(fleet.CodeBadRequest, "Filter "+filter+" is too long.")
	}
	p, err := regexp.Compile("(?i)" + text)
	if err != nil {
		return nil, service.Fail(fleet.CodeBadRequest, "Filter "+filter+" is not a regular expression.")
	}
	return p, nil
}

// page returns the servers that a request is to be shown, and the marker of the next
// page; empty for none.
func page(c *service.Call) ([]fleet.Instance, string, error) {
	query := c.Query()
	for name := range query {
		if !slices.Contains(filters, name) {
			return nil, "", service.Fail(fleet.CodeUnknownFilter, "Unknown filter "+strconv.Quote(name)+": it is not passed over, for the answer would be to another question.")
		}
	}
	limit, err := limitOf(query)
	if err != nil {
		return nil, "", err
	}
	want, err := match(query)
	if err != nil {
		return nil, "", err
	}
	project := query.Get("tenant_id") + query.Get("project_id")
	project, err = c.Project(project, truth(query, "all_tenants") && !c.Who.OfProject())
	if err != nil {
		return nil, "", err
	}
	if truth(query, "deleted") {
		return nil, "", nil // of what is deleted nothing is kept
	}
	q := fleet.InstanceQuery{Host: query.Get("host"), Project: project, Limit: maxPage, Marker: query.Get("marker")}
	var out []fleet.Instance
	for {
		found, err := c.Core.Instances(c.Context(), q)
		if err != nil {
			return nil, "", err
		}
		for i := range found.Items {
			if want(&found.Items[i], c) {
				out = append(out, found.Items[i])
			}
		}
		switch {
		case len(out) > limit:
			return out[:limit], out[limit-1].ID.String(), nil
		case found.Next == "":
			return out, "", nil
		}
		q.Marker = found.Next
	}
}

func limitOf(query url.Values) (int, error) {
	text := query.Get("limit")
	if text == "" {
		return maxPage, nil
	}
	limit, err := strconv.Atoi(text)
	if err != nil || limit < 0 {
		return 0, service.Fail(fleet.CodeBadRequest, "Invalid input for query parameters limit: it is not a whole number that is 0 or more.")
	}
	if limit == 0 || limit > maxPage {
		limit = maxPage
	}
	return limit, nil
}

// truth reads a boolean as Nova does.
func truth(query url.Values, name string) bool {
	if !query.Has(name) {
		return false
	}
	switch strings.ToLower(query.Get(name)) {
	case "", "1", "true", "t", "yes", "y", "on":
		return true
	}
	return false
}

func (n *nova) listServers(c *service.Call) (service.Reply, error) {
	found, next, err := page(c)
	if err != nil {
		return service.Reply{}, err
	}
	rows := make([]brief, 0, len(found))
	for i := range found {
		rows = append(rows, briefRow(c, &found[i]))
	}
	return listed(c, rows, next)
}

func (n *nova) listServersInDetail(c *service.Call) (service.Reply, error) {
	found, next, err := page(c)
	if err != nil {
		return service.Reply{}, err
	}
	hosts, err := c.Core.Hosts(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	zones, rows := zonesOf(hosts.Items), make([]server, 0, len(found))
	for i := range found {
		rows = append(rows, row(c, &found[i], zones))
	}
	return listed(c, rows, next)
}

// listed is a page, with the address of the next one.
func listed[R any](c *service.Call, rows []R, next string) (service.Reply, error) {
	body := map[string]any{"servers": rows}
	if next != "" {
		query := c.Query()
		query.Set("marker", next)
		body["servers_links"] = []any{link("next", c.Base+Prefix+c.Request.URL.Path+"?"+query.Encode())}
	}
	return service.OK(body)
}

// find returns the server of a path, if it is for who asks. Whatever is no id is one
// that is not there: clients try names.
func find(c *service.Call) (fleet.Instance, error) {
	text := c.Path("id")
	missing := service.NotFound("Instance", text)
	id, err := fleet.ParseUUID(text)
	if err != nil {
		return fleet.Instance{}, missing
	}
	i, err := c.Core.Instance(c.Context(), id)
	if fleet.CodeOf(err) == fleet.CodeNotFound || err == nil && c.Who.Sees(&i) != nil {
		return fleet.Instance{}, missing
	}
	return i, err
}

func (n *nova) showServer(c *service.Call) (service.Reply, error) {
	i, err := find(c)
	if err != nil {
		return service.Reply{}, err
	}
	shown, err := n.shown(c, &i)
	return service.Reply{Body: map[string]any{"server": shown}}, err
}

// shown shows one server.
func (n *nova) shown(c *service.Call, i *fleet.Instance) (server, error) {
	h, err := c.Core.Host(c.Context(), i.Host)
	if err != nil && fleet.CodeOf(err) != fleet.CodeNotFound {
		return server{}, err
	}
	return row(c, i, map[fleet.HostID]string{i.Host: zoneName(&h)}), nil
}

func (n *nova) listAddresses(c *service.Call) (service.Reply, error) {
	i, err := find(c)
	return service.Reply{Body: map[string]any{"addresses": addressesOf(i.Addresses)}}, err
}

func (n *nova) listMetadata(c *service.Call) (service.Reply, error) {
	i, err := find(c)
	return service.Reply{Body: map[string]any{"metadata": metadataOf(i.Labels)}}, err
}
