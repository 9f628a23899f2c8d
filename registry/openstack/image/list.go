package image

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// pageSize is how many images a page has where no limit is given, maxPage at most.
const (
	pageSize = 25
	maxPage  = 1000
)

// heeded are the parameters of lists.
var heeded = []string{"name", "id", "status", "visibility", "os_hidden", "owner", "limit", "marker", "sort", "sort_key", "sort_dir", "disk_format", "container_format", "member_status", "tag"}

// list answers a page of the images that match.
func (g *glance) list(c *service.Call) (service.Reply, error) {
	query := c.Query()
	for name := range query {
		if !slices.Contains(heeded, name) {
			return service.Reply{}, service.Fail(fleet.CodeUnknownFilter, "Unknown filter "+strconv.Quote(name)+": it is not passed over, for the answer would be to another question.")
		}
	}
	limit, err := strconv.Atoi(query.Get("limit"))
	if query.Get("limit") != "" && (err != nil || limit < 0) {
		return service.Reply{}, service.Fail(fleet.CodeBadRequest, "limit is a whole number that is 0 or more.")
	}
	if limit == 0 {
		limit = pageSize
	}
	before, err := order(query)
	if err != nil {
		return service.Reply{}, err
	}
	images, err := c.Core.Images(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	found := slices.Clone(images.Items)
	slices.SortStableFunc(found, before)
	if marker := query.Get("marker"); marker != "" {
		at := slices.IndexFunc(found, func(im fleet.Image) bool { return ids.Image(im.ID) == marker })
		if at < 0 {
			at = len(found) - 1
		}
		found = found[at+1:]
	}
	found = slices.DeleteFunc(found, func(im fleet.Image) bool { return !matches(row(&im), query) })
	return page(found, min(limit, maxPage), query)
}

func page(found []fleet.Image, limit int, query url.Values) (service.Reply, error) {
	body := map[string]any{"first": "/v2/images", "schema": "/v2/schemas/images"}
	if len(found) > limit {
		found = found[:limit]
		query.Set("marker", ids.Image(found[limit-1].ID))
		body["next"] = "/v2/images?" + query.Encode()
	}
	rows := make([]any, 0, len(found))
	for i := range found {
		rows = append(rows, row(&found[i]))
	}
	body["images"] = rows
	return service.OK(body)
}

// keys are what lists may be sorted by.
var keys = map[string]func(a, b *fleet.Image) int{
	"name":       func(a, b *fleet.Image) int { return strings.Compare(a.Name, b.Name) },
	"size":       func(a, b *fleet.Image) int { return cmp.Compare(a.Bytes, b.Bytes) },
	"created_at": func(a, b *fleet.Image) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"updated_at": func(a, b *fleet.Image) int { return a.CreatedAt.Compare(b.CreatedAt) },
	"id":         func(a, b *fleet.Image) int { return strings.Compare(ids.Image(a.ID), ids.Image(b.ID)) },
}

// order reads by what a list is sorted: sort has keys with their directions, or
// sort_key and sort_dir have one each. As they come otherwise.
func order(query url.Values) (func(a, b fleet.Image) int, error) {
	text := query.Get("sort")
	if key := query.Get("sort_key"); key != "" {
		text = key + ":" + cmp.Or(query.Get("sort_dir"), "desc")
	}
	if text == "" {
		return func(fleet.Image, fleet.Image) int { return 0 }, nil
	}
	var by []func(a, b *fleet.Image) int
	for part := range strings.SplitSeq(text, ",") {
		key, direction, _ := strings.Cut(part, ":")
		compare := keys[key]
		if compare == nil || direction != "" && direction != "asc" && direction != "desc" {
			return nil, service.Fail(fleet.CodeBadRequest, "Images are sorted by name, size, created_at, updated_at or id, asc or desc.")
		}
		if direction != "asc" {
			by = append(by, func(a, b *fleet.Image) int { return compare(b, a) })
			continue
		}
		by = append(by, compare)
	}
	return func(a, b fleet.Image) int {
		for _, compare := range by {
			if c := compare(&a, &b); c != 0 {
				return c
			}
		}
		return 0
	}, nil
}
