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

func TestDevicesThatCanBeAttachedHaveNumbers(t *testing.T) {
	for name, want := range map[string]int{
		"disk-0": 0, "disk-7": 7, drivers.DiskName(fleet.MaxDisks): fleet.MaxDisks,
		drivers.DiskName(fleet.MaxDisks + 1): -1, "disk--1": -1, "disk-": -1, "disk-1x": -1, "iso-1": -1, "": -1,
	} {
		number, ok := drivers.DiskNumber(name)
		if ok != (want >= 0) || ok && number != want {
			t.Errorf("DiskNumber(%q) = %d, %v, want %d", name, number, ok, want)
		}
	}
	if number, ok := drivers.ISONumber("iso-5", 6); !ok || number != 5 {
		t.Errorf("the last of six drives has the number %d, %v", number, ok)
	}
	if _, ok := drivers.ISONumber("iso-6", 6); ok {
		t.Error("of six drives there is a seventh")
	}
}
