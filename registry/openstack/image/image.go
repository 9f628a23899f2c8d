// Package image is what clients read of OpenStack's Image API v2: the images that
// hosts hold, and the schemas by which clients show them. An image's id is derived
// from its digest; what is not told of an image (checksums of other kinds, owners)
// is null.
package image

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// Prefix is that of the service's paths.
const Prefix = "/image"

// glance is the service.
type glance struct{}

// Service returns the image service.
func Service() service.Service {
	g := &glance{}
	get := http.MethodGet
	return service.Service{
		Type: "image", Prefix: Prefix, Fault: fault,
		Routes: []service.Route{
			{Method: get, Path: "", Roles: service.Everybody, Handle: g.choices},
			{Method: get, Path: "/versions", Roles: service.Everybody, Handle: g.versions},
			{Method: get, Path: "/v2/images", Roles: service.People, Handle: g.list},
			{Method: get, Path: "/v2/images/{id}", Roles: service.People, Handle: g.show},
			{Method: get, Path: "/v2/schemas/image", Roles: service.People, Handle: g.schema},
			{Method: get, Path: "/v2/schemas/images", Roles: service.People, Handle: g.listSchema},
		},
	}
}

func fault(status int, detail string) any {
	title := http.StatusText(status)
	return map[string]any{"code": strconv.Itoa(status) + " " + title, "title": title, "message": detail}
}

func versions(c *service.Call) map[string]any {
	return map[string]any{"versions": []any{map[string]any{
		"id": "v2.9", "status": "CURRENT", "links": []any{map[string]any{"rel": "self", "href": c.Base + Prefix + "/v2/"}},
	}}}
}

func (g *glance) choices(c *service.Call) (service.Reply, error) {
	return service.Reply{Status: http.StatusMultipleChoices, Body: versions(c)}, nil
}

func (g *glance) versions(c *service.Call) (service.Reply, error) { return service.OK(versions(c)) }

// row shows an image. One of several files is shown as its disk, or as its kernel.
func row(im *fleet.Image) map[string]any {
	id, created := ids.Image(im.ID), im.CreatedAt.UTC().Format(time.RFC3339)
	disk, container := "raw", "bare"
	var virtual any
	if f, ok := im.File(fleet.RoleDisk); ok {
		disk, virtual = f.Format, f.VirtualBytes
	} else if _, ok := im.File(fleet.RoleISO); ok {
		disk = "iso"
	}
	self := "/v2/images/" + id
	return map[string]any{
		"id": id, "name": im.Name, "status": "active", "visibility": "public", "protected": false, "os_hidden": false,
		"disk_format": disk, "container_format": container, "size": im.Bytes, "virtual_size": virtual,
		"min_disk": im.DiskGiB(), "min_ram": 0, "owner": nil, "checksum": nil, "os_hash_algo": nil, "os_hash_value": nil,
		"created_at": created, "updated_at": created, "tags": []string{}, "self": self, "file": self + "/file", "schema": "/v2/schemas/image",
		"grapevine_id": im.ID,
	}
}

// matches judges by the filters: texts that have to be equal, or one of in:a,b.
func matches(row map[string]any, query url.Values) bool {
	for _, name := range []string{"name", "id", "status", "visibility", "disk_format", "container_format"} {
		wanted := query.Get(name)
		if wanted == "" {
			continue
		}
		one := []string{wanted}
		if list, ok := strings.CutPrefix(wanted, "in:"); ok {
			one = strings.Split(strings.ReplaceAll(list, `"`, ""), ",")
		}
		if text, ok := row[name].(string); !ok || !slices.Contains(one, text) {
			return false
		}
	}
	// Nothing is hidden, tagged or owned.
	return query.Get("tag") == "" && query.Get("owner") == "" && !strings.EqualFold(query.Get("os_hidden"), "true")
}

func (g *glance) show(c *service.Call) (service.Reply, error) {
	images, err := c.Core.Images(c.Context())
	if err != nil {
		return service.Reply{}, err
	}
	wanted := c.Path("id")
	for i := range images.Items {
		if ids.Image(images.Items[i].ID) == wanted {
			return service.OK(row(&images.Items[i]))
		}
	}
	return service.Reply{}, service.NotFound("Image", strconv.Quote(wanted[:min(len(wanted), 64)]))
}
