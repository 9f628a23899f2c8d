package esxi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// beforeKey is the extra option of a rescued machine with the change that makes
// it boot again what it did before, as the API's JSON.
const beforeKey = "grapevine.before"

var errNoBefore = errors.New("what it was before its rescue is not in its options any more")

// bootsBefore is the change that brings the order of booting back. An order of
// nothing in particular is the firmware's own: one that is empty would change
// nothing.
func (s *session) bootsBefore(ctx context.Context, ref types.ManagedObjectReference) (*types.VirtualMachineConfigSpec, error) {
	var vm mo.VirtualMachine
	if err := s.properties().RetrieveOne(ctx, ref, []string{"config.bootOptions"}, &vm); err != nil {
		return nil, fmt.Errorf("read the order of booting: %w", err)
	}
	boots := &types.VirtualMachineBootOptions{}
	if vm.Config != nil && vm.Config.BootOptions != nil {
		boots.BootOrder = vm.Config.BootOptions.BootOrder
	}
	if len(boots.BootOrder) == 0 {
		boots.BootOrder = []types.BaseVirtualMachineBootOptionsBootableDevice{&types.VirtualMachineBootOptionsBootableDevice{}}
	}
	return &types.VirtualMachineConfigSpec{BootOptions: boots}, nil
}

// encodeBefore writes the change of bootsBefore.
func encodeBefore(change *types.VirtualMachineConfigSpec) (string, error) {
	var b bytes.Buffer
	if err := types.NewJSONEncoder(&b).Encode(change); err != nil {
		return "", fmt.Errorf("encode what was before: %w", err)
	}
	return escaped(strings.TrimSpace(b.String())), nil
}

// readBefore is the change that a rescued machine carries.
func (s *session) readBefore(ctx context.Context, ref types.ManagedObjectReference) (*types.VirtualMachineConfigSpec, error) {
	options, err := s.options(ctx, ref)
	if err != nil {
		return nil, err
	}
	if options[beforeKey] == "" {
		return nil, errNoBefore
	}
	change := &types.VirtualMachineConfigSpec{}
	if err := types.NewJSONDecoder(strings.NewReader(options[beforeKey])).Decode(change); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoBefore, err)
	}
	return change, nil
}

// options are a machine's extra options.
func (s *session) options(ctx context.Context, ref types.ManagedObjectReference) (map[string]string, error) {
	var vm mo.VirtualMachine
	if err := s.properties().RetrieveOne(ctx, ref, []string{"config.extraConfig"}, &vm); err != nil {
		return nil, fmt.Errorf("read options: %w", err)
	}
	options := map[string]string{}
	if vm.Config == nil {
		return options, nil
	}
	for _, option := range vm.Config.ExtraConfig {
		if text, ok := option.GetOptionValue().Value.(string); ok {
			options[option.GetOptionValue().Key] = text
		}
	}
	return options, nil
}
