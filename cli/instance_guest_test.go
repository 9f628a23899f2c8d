package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func file(t *testing.T, content string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestCreateSaysWhatTheGuestIsTold(t *testing.T) {
	n := fleetNode(t)
	accepting(n, "POST /v1/instances", theInstances().Items[0])
	keys := file(t, "# mine\n\nssh-ed25519 AAAA me\nssh-rsa BBBB also me\n")
	run(t, n.URL, "instance", "create", "--name", "web", "--flavor", "tiny", "--image", "debian",
		"--network", "br0,vlan=12", "--network", "dmz,mac=02:00:00:AB:00:01", "--disk", "10", "--disk", "20", "--firmware", "uefi",
		"--hostname", "web-1", "--user-data", file(t, "#cloud-config\n"), "--ssh-key", keys, "--network-config", file(t, "version: 2\n"),
	).wants(t, 0, "", "")
	posted := n.requests(http.MethodPost)
	if len(posted) != 1 {
		t.Fatalf("%d requests", len(posted))
	}
	var got fleet.Create
	if err := json.Unmarshal([]byte(posted[0].Body), &got); err != nil {
		t.Fatal(err)
	}
	want := fleet.Create{
		Name: "web", Flavor: "tiny", Image: "debian", Firmware: fleet.UEFI,
		Networks: []fleet.NIC{{Network: "br0", VLAN: 12}, {Network: "dmz", MAC: "02:00:00:ab:00:01"}},
		Disks:    []fleet.Disk{{SizeGiB: 10}, {SizeGiB: 20}},
		Guest: fleet.Guest{
			Hostname: "web-1", UserData: "#cloud-config\n", NetworkConfig: "version: 2\n",
			SSHKeys: []string{"ssh-ed25519 AAAA me", "ssh-rsa BBBB also me"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what was sent (-want +got):\n%s", diff)
	}
}

func TestCreateRefusesGuestFlagsThatCannotBeMeant(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a file that is not there": {[]string{"--user-data", "/nowhere/at/all"}, 1, "--user-data"},
		"an empty file":            {[]string{"--user-data", file(t, "")}, 1, "is empty"},
		"too long":                 {[]string{"--user-data", file(t, strings.Repeat("x", fleet.MaxGuestBytes+1))}, 1, "longer than"},
		"a key file without keys":  {[]string{"--ssh-key", file(t, "# none\n")}, 1, "no public key"},
		"a private key":            {[]string{"--ssh-key", file(t, "-----BEGIN OPENSSH PRIVATE KEY-----\n")}, 1, "private key"},
		"half a VLAN":              {[]string{"--network", "br0,vlan=x"}, 2, "vlan"},
		"an unknown word":          {[]string{"--network", "br0,speed=9"}, 2, "speed=9"},
		"a disk of words":          {[]string{"--disk", "large"}, 2, "GiB"},
		"a disk of nothing":        {[]string{"--disk", "0"}, 1, "size_gib 0"},
		"an old firmware":          {[]string{"--firmware", "openfirmware"}, 1, "bios, uefi"},
	} {
		t.Run(name, func(t *testing.T) {
			n := fleetNode(t)
			args := append([]string{"instance", "create", "--name", "web", "--flavor", "tiny", "--image", "debian"}, c.args...)
			run(t, n.URL, args...).wants(t, c.code, "", c.want)
			if posted := n.requests(http.MethodPost); len(posted) != 0 {
				t.Errorf("%v was sent all the same", posted)
			}
		})
	}
}
