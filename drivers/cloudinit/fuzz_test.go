package cloudinit_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"grapevine/drivers/cloudinit"
	"grapevine/fleet"
	"grapevine/internal/allocated"
)

// systemArea is what every image begins with and nobody reads.
const systemArea = 16 * 2048

var told = fleet.Guest{
	Hostname: "db-1.example.org", UserData: "#cloud-config\nruncmd: [\"echo ünï\"]\n",
	SSHKeys: []string{"ssh-ed25519 AAAA a", "ssh-rsa BBBB b"}, NetworkConfig: "version: 2\nethernets: {}\n",
}

// A seed that lies in the storage was written by whoever can write there. What is
// read of it can be told again, and takes memory for its own length: 64 times as
// much, as a list in JSON does of which each item is empty.
func FuzzReadSeed(f *testing.F) {
	for _, guest := range []fleet.Guest{told, {Hostname: "db"}} {
		s := spec(guest)
		doc := cloudinit.Of(s, s.Cards)
		seed, err := doc.Seed()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(seed[systemArea:])
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		image := append(make([]byte, systemArea), content...)
		var guest fleet.Guest
		var err error
		if took := allocated.Bytes(func() { guest, err = cloudinit.ReadSeed(image) }); took > 1<<20+64*uint64(len(image)) {
			t.Errorf("a seed of %d bytes takes %d", len(image), took)
		}
		if err == nil && guest.Hostname != "" {
			toldAgain(t, guest)
		}
	})
}

// toldAgain says that what was read is what a guest is told by it.
func toldAgain(t *testing.T, guest fleet.Guest) {
	t.Helper()
	if guest.NetworkConfig == "" {
		guest.NetworkConfig = "version: 2\n" // else the cards make one
	}
	s := spec(guest)
	doc := cloudinit.Of(s, s.Cards)
	options, err := doc.GuestInfo()
	if err != nil {
		t.Fatal(err)
	}
	again, err := cloudinit.ReadGuestInfo(options)
	if diff := cmp.Diff(guest, again, cmpopts.EquateEmpty()); diff != "" || err != nil {
		t.Errorf("read, told and read again: %v\n%s", err, diff)
	}
}

// Options of a virtual machine come from whoever may edit it on its host. A few
// bytes of them must not unpack to more than a guest can be told.
func FuzzReadGuestInfo(f *testing.F) {
	s := spec(told)
	doc := cloudinit.Of(s, s.Cards)
	options, err := doc.GuestInfo()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(options["guestinfo.metadata"], options["guestinfo.userdata"])
	f.Fuzz(func(t *testing.T, meta, user string) {
		var guest fleet.Guest
		var err error
		took := allocated.Bytes(func() {
			guest, err = cloudinit.ReadGuestInfo(map[string]string{"guestinfo.metadata": meta, "guestinfo.userdata": user})
		})
		if took > 8<<20 {
			t.Errorf("options of %d bytes take %d", len(meta)+len(user), took)
		}
		if err == nil && guest.Hostname != "" {
			toldAgain(t, guest)
		}
	})
}
