package esxi

import (
	"context"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/mo"

	"grapevine/drivers"
)

// portGroups reads the host's port groups, by name.
func (s *session) portGroups(ctx context.Context) ([]mo.Network, error) {
	var host mo.HostSystem
	if err := s.properties().RetrieveOne(ctx, s.host.Reference(), []string{"network"}, &host); err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	if len(host.Network) == 0 {
		return nil, nil
	}
	var list []mo.Network
	if err := s.properties().Retrieve(ctx, host.Network, []string{"name"}, &list); err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	return list, nil
}

// networks are the names of the host's port groups.
func (s *session) networks(ctx context.Context) ([]string, error) {
	list, err := s.portGroups(ctx)
	names := make([]string, len(list))
	for i := range list {
		names[i] = list[i].Name
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// networkNamed finds a port group; the empty name is that of the
// configuration.
func (s *session) networkNamed(ctx context.Context, name string) (object.NetworkReference, error) {
	if name == "" {
		return s.network, nil
	}
	list, err := s.portGroups(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(list, func(n mo.Network) bool { return n.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("network %q: %w", name, drivers.ErrNotFound)
	}
	return object.NewNetwork(s.client, list[i].Reference()), nil
}
