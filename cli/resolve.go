package cli

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

// idPrefix is what may be the beginning of an id: four digits at least, so
// that a short name is not taken for one.
var idPrefix = regexp.MustCompile(`^[0-9a-fA-F][0-9a-fA-F-]{3,}$`)

// thing is what an id or a name can point at.
type thing struct {
	id, name string
	where    string // for people, when several match
}

// pick finds the one thing that ref means: its id, its name, or the beginning
// of its id. It returns the index.
func pick(noun, ref string, things []thing) (int, error) {
	for _, matches := range []func(thing) bool{
		func(t thing) bool { return strings.EqualFold(t.id, ref) },
		func(t thing) bool { return t.name == ref },
		func(t thing) bool {
			return idPrefix.MatchString(ref) && strings.HasPrefix(t.id, strings.ToLower(ref))
		},
	} {
		var found []int
		for i, t := range things {
			if matches(t) {
				found = append(found, i)
			}
		}
		if len(found) == 1 {
			return found[0], nil
		}
		if len(found) > 1 {
			return 0, ambiguous(noun, ref, things, found)
		}
	}
	return 0, &fleet.Error{
		Code:   fleet.CodeNotFound,
		Detail: fmt.Sprintf("no %s has the name or id %q; list them with: grapevine %s list", noun, ref, noun),
	}
}

func ambiguous(noun, ref string, things []thing, found []int) error {
	e := &fleet.Error{
		Code:   fleet.CodeAmbiguous,
		Detail: fmt.Sprintf("%q may mean any of %s; give the id of one", ref, plural(len(found), noun)),
	}
	for _, i := range found {
		e.Candidates = append(e.Candidates, strings.TrimRight(fmt.Sprintf("%s  %s  %s", things[i].id, things[i].name, things[i].where), " "))
	}
	return e
}

// host returns the node that is asked and the host that a word names there.
func (a *app) host(cmd *cobra.Command, ref string) (*client.Client, fleet.Host, error) {
	node, err := a.node(cmd.Context())
	if err != nil {
		return nil, fleet.Host{}, err
	}
	row, err := findHost(cmd.Context(), node, ref)
	return node, row, err
}

// findHost finds a host by id, name or the beginning of its id.
func findHost(ctx context.Context, c *client.Client, ref string) (fleet.Host, error) {
	if id, err := fleet.ParseUUID(ref); err == nil {
		return c.Host(ctx, id)
	}
	hosts, err := c.Hosts(ctx)
	if err != nil {
		return fleet.Host{}, err
	}
	things := make([]thing, len(hosts.Items))
	for i, h := range hosts.Items {
		things[i] = thing{h.ID.String(), h.Name, "in zone " + h.Zone}
		if h.Zone == "" {
			things[i].where = ""
		}
	}
	i, err := pick("host", ref, things)
	if err != nil {
		return fleet.Host{}, err
	}
	return hosts.Items[i], nil
}

// instance returns the node that is asked and the instance that a word names
// there.
func (a *app) instance(cmd *cobra.Command, ref string) (*client.Client, fleet.Instance, error) {
	node, err := a.node(cmd.Context())
	if err != nil {
		return nil, fleet.Instance{}, err
	}
	row, err := findInstance(cmd.Context(), node, ref)
	return node, row, err
}

// findInstance finds an instance by id, name or the beginning of its id. Only
// for the last one it has to read them all.
func findInstance(ctx context.Context, c *client.Client, ref string) (fleet.Instance, error) {
	if id, err := fleet.ParseUUID(ref); err == nil {
		return c.Instance(ctx, id)
	}
	rows, err := c.AllInstances(ctx, fleet.InstanceQuery{Name: ref})
	if err != nil {
		return fleet.Instance{}, err
	}
	if len(rows.Items) == 0 && idPrefix.MatchString(ref) {
		if rows, err = c.AllInstances(ctx, fleet.InstanceQuery{Limit: fleet.MaxPage}); err != nil {
			return fleet.Instance{}, err
		}
	}
	things := make([]thing, len(rows.Items))
	for i, row := range rows.Items {
		things[i] = thing{row.ID.String(), row.Name, fmt.Sprintf("of project %q on %s", row.Project, row.HostName)}
	}
	i, err := pick("instance", ref, things)
	if err != nil {
		return fleet.Instance{}, err
	}
	return rows.Items[i], nil
}

// findImage finds an image by id, name or the beginning of its id.
func findImage(ctx context.Context, c *client.Client, ref string) (fleet.Image, error) {
	if fleet.IsImageID(ref) {
		return c.Image(ctx, ref)
	}
	images, err := c.Images(ctx)
	if err != nil {
		return fleet.Image{}, err
	}
	things := make([]thing, len(images.Items))
	for i, im := range images.Items {
		things[i] = thing{im.ID, im.Name, byteSize(im.Bytes)}
	}
	i, err := pick("image", ref, things)
	if err != nil {
		return fleet.Image{}, err
	}
	return images.Items[i], nil
}

// shortest returns how many characters of these ids tell them apart, at least
// eight.
func shortest(ids []string) int {
	for length := 8; length < 36; length++ {
		seen, unique := make(map[string]bool, len(ids)), true
		for _, id := range ids {
			short := shorten(id, length)
			if seen[short] {
				unique = false
				break
			}
			seen[short] = true
		}
		if unique {
			return length
		}
	}
	return 64
}

func shorten(id string, length int) string {
	if len(id) <= length {
		return id
	}
	return strings.TrimRight(id[:length], "-")
}
