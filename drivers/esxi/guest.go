package esxi

import (
	"fmt"
	"maps"
	"slices"

	"github.com/vmware/govmomi/vim25/types"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/fleet"
)

// checkMAC, set to false, makes the host take a card's address as it is; by
// itself it takes only those of VMware's own range for cards set by hand.
const checkMAC = "ethernet%d.checkMACAddress"

// guestOptions are the options of a machine that its guest, or its cards, have
// need of.
func guestOptions(spec *drivers.Spec) ([]types.BaseOptionValue, error) {
	options := map[string]string{}
	if spec.WantsGuest() {
		doc := cloudinit.Of(spec, spec.Cards)
		var err error
		if options, err = doc.GuestInfo(); err != nil {
			return nil, err
		}
	}
	for i := range fleet.MaxNICs { // also for those that are attached later
		options[fmt.Sprintf(checkMAC, i)] = "false"
	}
	var list []types.BaseOptionValue
	for _, key := range slices.Sorted(maps.Keys(options)) {
		list = append(list, &types.OptionValue{Key: key, Value: options[key]})
	}
	return list, nil
}

// firmwareOf is a firmware in ESXi's words.
func firmwareOf(f fleet.Firmware) string {
	if f == fleet.UEFI {
		return string(types.GuestOsDescriptorFirmwareTypeEfi)
	}
	return string(types.GuestOsDescriptorFirmwareTypeBios)
}
