package vcsim

import (
	"fmt"

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
	found, err := machine(ctx, client.Client, id)
	if err != nil {
		return nil, err
	}
	var vm mo.VirtualMachine
	if err := found.Properties(ctx, found.Reference(), []string{"config.extraConfig"}, &vm); err != nil {
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
