package vcsim

import (
	"fmt"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/mo"

	"grapevine/fleet"
)

// Options returns a machine's extra options, as its guest's VMware Tools could
// read those that begin with guestinfo.
func (h *Host) Options(id fleet.InstanceID) (map[string]string, error) {
	client, err := h.client()
	if err != nil {
		return nil, err
	}
	ctx, cancel := deadline()
	defer cancel()
	ref, err := object.NewSearchIndex(client.Client).FindByUuid(ctx, nil, id.String(), true, nil)
	if err != nil {
		return nil, fmt.Errorf("find machine %s: %w", id, err)
	}
	if ref == nil {
		return nil, fmt.Errorf("find machine %s: no such machine", id)
	}
	var vm mo.VirtualMachine
	if err := property.DefaultCollector(client.Client).RetrieveOne(ctx, ref.Reference(), []string{"config.extraConfig"}, &vm); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	options := map[string]string{}
	for _, option := range vm.Config.ExtraConfig {
		if text, ok := option.GetOptionValue().Value.(string); ok {
			options[option.GetOptionValue().Key] = text
		}
	}
	return options, nil
}
