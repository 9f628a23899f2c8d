package drivers_test

import (
	"slices"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

func TestFurtherDevicesGetTheLowestFreeName(t *testing.T) {
	disk := func(n int) fleet.Device { return fleet.Device{Kind: fleet.DeviceDisk, Name: drivers.DiskName(n)} }
	for name, c := range map[string]struct {
		have []fleet.Device
		ask  fleet.AttachRequest
		want string
	}{
		"a machine without a disk": {nil, fleet.AttachRequest{Kind: fleet.DeviceDisk}, "disk-1"},
		"a gap":                    {[]fleet.Device{disk(0), disk(1), disk(3)}, fleet.AttachRequest{Kind: fleet.DeviceDisk}, "disk-2"},
		"the first CD":             {[]fleet.Device{disk(0)}, fleet.AttachRequest{Kind: fleet.DeviceISO}, "iso-0"},
		"a card":                   {nil, fleet.AttachRequest{Kind: fleet.DeviceNIC, MAC: "02:00:00:00:00:01"}, "02:00:00:00:00:01"},
	} {
		if got := drivers.FreeDeviceName(c.have, &c.ask); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestDevicesAreOrderedByKindAndNumber(t *testing.T) {
	devices := []fleet.Device{
		{Kind: fleet.DeviceISO, Name: "iso-0"},
		{Kind: fleet.DeviceDisk, Name: "disk-10"},
		{Kind: fleet.DeviceNIC, Name: "02:00:00:00:00:01"},
		{Kind: fleet.DeviceDisk, Name: "disk-9"},
	}
	drivers.OrderDevices(devices)
	var names []string
	for _, d := range devices {
		names = append(names, d.Name)
	}
	if want := []string{"disk-9", "disk-10", "02:00:00:00:00:01", "iso-0"}; !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}
