// Package openstack is a front end for clients of OpenStack: its Identity, Compute,
// Image and Network APIs, as far as docs/openstack.md says, over the core of a
// registry. It keeps nothing. [frontend.openstack] in registry.toml mounts it; it
// needs the registry's users file, for its people are those.
package openstack

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"grapevine/api"
	"grapevine/registry/openstack/compute"
	"grapevine/registry/openstack/identity"
	"grapevine/registry/openstack/image"
	"grapevine/registry/openstack/network"
	"grapevine/registry/openstack/service"
)

// Settings are the keys of [frontend.openstack].
type Settings struct {
	// Region is the one in the catalogue.
	Region string `toml:"region"`
	// PublicURL is where clients reach the registry, for those behind a proxy; empty:
	// where each of them called it.
	PublicURL string `toml:"public_url"`
}

// FrontEnd is what a registry mounts.
func FrontEnd() api.FrontEnd { return api.FrontEnd{Name: "openstack", Open: open} }

func open(settings func(any) error, front api.Front) (map[string]http.Handler, error) {
	s := Settings{Region: "RegionOne"}
	if err := settings(&s); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	if front.People == nil {
		return nil, errors.New("its people are those of the users file: set users_file")
	}
	return service.Open(front, strings.TrimSuffix(s.PublicURL, "/"), services(s.Region)...), nil
}

// services are all that are served. Addresses of compute have a version in the
// catalogue, those of image and network none, as clients expect.
func services(region string) []service.Service {
	return []service.Service{
		identity.Service(region, []identity.Endpoint{
			{Type: "identity", Name: "keystone", Path: identity.Prefix},
			{Type: "compute", Name: "nova", Path: compute.Prefix + "/v2.1"},
			{Type: "image", Name: "glance", Path: image.Prefix},
			{Type: "network", Name: "neutron", Path: network.Prefix},
		}),
		compute.Service(), image.Service(), network.Service(),
	}
}

func (s *Settings) check() error {
	if s.Region == "" {
		return errors.New("region is empty; give a name")
	}
	if s.PublicURL == "" {
		return nil
	}
	u, err := url.Parse(s.PublicURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.User != nil {
		return fmt.Errorf("public_url %.80q is not an address; write it like https://cloud.example.org", s.PublicURL)
	}
	return nil
}
