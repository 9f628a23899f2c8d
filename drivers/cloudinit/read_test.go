package cloudinit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers/cloudinit"
	"grapevine/fleet"
)

func TestWhatAGuestWasToldIsReadBackAndToldAgain(t *testing.T) {
	for name, guest := range map[string]fleet.Guest{
		"all": {
			Hostname: "db-1.example.org", UserData: "#cloud-config\nruncmd: [\"echo ünï\"]\n", SSHKeys: []string{"ssh-ed25519 AAAA a", "ssh-rsa BBBB b"},
			NetworkConfig: "version: 2\nethernets: {}\n",
		},
		"the host name alone": {Hostname: "db", NetworkConfig: "version: 2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec(guest)
			doc := cloudinit.Of(s, s.Cards)
			seed, err := doc.Seed()
			if err != nil {
				t.Fatal(err)
			}
			options, err := doc.GuestInfo()
			if err != nil {
				t.Fatal(err)
			}
			fromSeed, err := cloudinit.ReadSeed(seed)
			if err != nil {
				t.Fatal(err)
			}
			fromOptions, err := cloudinit.ReadGuestInfo(options)
			if err != nil {
				t.Fatal(err)
			}
			for from, got := range map[string]fleet.Guest{"seed": fromSeed, "guestinfo": fromOptions} {
				if diff := cmp.Diff(guest, got); diff != "" {
					t.Errorf("from the %s (-told +read):\n%s", from, diff)
				}
			}
		})
	}
}

func TestWhatTellsAGuestNothingIsReadAsNothing(t *testing.T) {
	if got, err := cloudinit.ReadGuestInfo(map[string]string{"other": "option"}); err != nil || !got.IsZero() {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := cloudinit.ReadSeed([]byte("no seed")); err == nil {
		t.Error("what is no seed was read as one")
	}
	if _, err := cloudinit.ReadGuestInfo(map[string]string{"guestinfo.metadata": "no base64!"}); err == nil {
		t.Error("what is no guestinfo was read as one")
	}
}

func TestInstanceIsAnotherToCloudInitAfterEachRebuild(t *testing.T) {
	seen := map[any]bool{}
	for rebuilt := range uint64(3) {
		s := spec(fleet.Guest{})
		s.Mark.Rebuilt = rebuilt
		doc := cloudinit.Of(s, nil)
		seed, err := doc.Seed()
		if err != nil {
			t.Fatal(err)
		}
		seen[decode(t, files(t, seed)["meta-data"])["instance-id"]] = true
	}
	if len(seen) != 3 || !seen[id.String()] {
		t.Errorf("the instance-ids are %v, want three, the first of them the instance's own", seen)
	}
}
