package cli

import (
	"net/http"
	"testing"

	"grapevine/fleet"
)

func TestDeviceCommandsReachTheInstance(t *testing.T) {
	const devices = "/v1/instances/{id}/devices"
	for name, c := range map[string]struct {
		args    []string
		pattern string
		method  string
		body    string
	}{
		"a disk":         {[]string{"attach", "web", "--disk", "20"}, "POST " + devices, http.MethodPost, `{"kind":"disk","size_gib":20}`},
		"a card":         {[]string{"attach", "web", "--network", "dmz,vlan=3"}, "POST " + devices, http.MethodPost, `{"kind":"nic","network":"dmz","vlan":3}`},
		"a CD":           {[]string{"attach", "web", "--iso", "windows"}, "POST " + devices, http.MethodPost, `{"kind":"iso","image":"windows"}`},
		"less of a disk": {[]string{"detach", "web", "disk-1"}, "DELETE " + devices + "/{name}", http.MethodDelete, ""},
		"more of a disk": {[]string{"grow", "web", "disk-1", "--size", "40"}, "POST " + devices + "/{name}/grow", http.MethodPost, `{"size_gib":40}`},
	} {
		t.Run(name, func(t *testing.T) {
			n := fleetNode(t)
			accepting(n, c.pattern, theInstances().Items[0])
			run(t, n.URL, append([]string{"instance", "device"}, c.args...)...).wants(t, 0, "", "")
			if sent := n.requests(c.method); len(sent) != 1 || sent[0].Body != c.body {
				t.Errorf("sent %+v, want the body %s", sent, c.body)
			}
		})
	}
}

func TestDeviceListShowsAllKinds(t *testing.T) {
	n := fleetNode(t)
	n.answer("GET /v1/instances/{id}/devices", http.StatusOK, fleet.DeviceList{Items: []fleet.Device{
		{Kind: fleet.DeviceDisk, Name: "disk-0", SizeGiB: 10},
		{Kind: fleet.DeviceNIC, Name: "02:00:00:00:00:01", Network: "dmz", VLAN: 3},
		{Kind: fleet.DeviceISO, Name: "iso-0", Image: "abc"},
	}})
	r := run(t, n.URL, "instance", "device", "list", "web")
	r.wants(t, 0, "", "")
	golden(t, "device-list.golden", r.out)
}

func TestDeviceCommandsRefuseWhatCannotBeMeant(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"nothing to attach": {[]string{"attach", "web"}, 2, "give one of"},
		"two at once":       {[]string{"attach", "web", "--disk", "1", "--network", "dmz"}, 2, "give one of"},
		"a disk of nothing": {[]string{"attach", "web", "--disk", "-1"}, 1, "size_gib"},
		"no size":           {[]string{"grow", "web", "disk-1"}, 2, "--size"},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, fleetNode(t).URL, append([]string{"instance", "device"}, c.args...)...).wants(t, c.code, "", c.want)
		})
	}
}
