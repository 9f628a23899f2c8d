package cloudinit_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/kdomanski/iso9660"

	"grapevine/drivers"
	"grapevine/drivers/cloudinit"
	"grapevine/fleet"
)

var id = fleet.NewUUIDv5(fleet.UUID{1}, "guest")

func spec(guest fleet.Guest) *drivers.Spec {
	return &drivers.Spec{Mark: drivers.Mark{ID: id, Name: "Web Server"}, Guest: guest, Cards: fleet.Cards(id, make([]fleet.NIC, 2))}
}

// files reads a seed as a guest would.
func files(t *testing.T, seed []byte) map[string]string {
	t.Helper()
	image, err := iso9660.OpenImage(bytes.NewReader(seed))
	if err != nil {
		t.Fatal(err)
	}
	if label, err := image.Label(); err != nil || label != "cidata" {
		t.Errorf("label is %q (%v), want cidata", label, err)
	}
	root, err := image.RootDir()
	if err != nil {
		t.Fatal(err)
	}
	children, err := root.GetChildren()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, child := range children {
		content, err := io.ReadAll(child.Reader())
		if err != nil {
			t.Fatal(err)
		}
		found[child.Name()] = string(content)
	}
	return found
}

func decode(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	return v
}

func TestSeedSaysWhoTheGuestIs(t *testing.T) {
	s := spec(fleet.Guest{SSHKeys: []string{"ssh-ed25519 AAAA someone"}, UserData: "#!/bin/sh\necho hello\n"})
	doc := cloudinit.Of(s, s.Cards)
	seed, err := doc.Seed()
	if err != nil {
		t.Fatal(err)
	}
	found := files(t, seed)
	want := map[string]any{"instance-id": id.String(), "local-hostname": "web-server", "public-keys": []any{"ssh-ed25519 AAAA someone"}}
	if diff := cmp.Diff(want, decode(t, found["meta-data"])); diff != "" {
		t.Errorf("meta-data (-want +got):\n%s", diff)
	}
	if found["user-data"] != s.Guest.UserData {
		t.Errorf("user-data is %q", found["user-data"])
	}
	cards := map[string]any{
		"nic0": map[string]any{"match": map[string]any{"macaddress": fleet.MACAddress(id, 0)}, "dhcp4": true},
		"nic1": map[string]any{"match": map[string]any{"macaddress": fleet.MACAddress(id, 1)}, "dhcp4": true, "optional": true},
	}
	if diff := cmp.Diff(map[string]any{"version": 2.0, "ethernets": cards}, decode(t, found["network-config"])); diff != "" {
		t.Errorf("network-config (-want +got):\n%s", diff)
	}
}

func TestSeedOfNothingIsStillOne(t *testing.T) {
	s := spec(fleet.Guest{})
	s.Mark.Name = "日本" // nothing of it can be in a host name
	doc := cloudinit.Of(s, nil)
	seed, err := doc.Seed()
	if err != nil {
		t.Fatal(err)
	}
	found := files(t, seed)
	if found["user-data"] == "" {
		t.Error("no user-data: cloud-init takes such a seed for none")
	}
	if name := decode(t, found["meta-data"])["local-hostname"]; name != "instance-"+id.String()[:8] {
		t.Errorf("host name is %v", name)
	}
	if _, ok := found["network-config"]; ok {
		t.Error("a machine without cards has a network configuration")
	}
}

func TestGuestInfoSaysTheSame(t *testing.T) {
	const config = "version: 2\nethernets: {}\n"
	s := spec(fleet.Guest{Hostname: "db", NetworkConfig: config})
	doc := cloudinit.Of(s, s.Cards)
	options, err := doc.GuestInfo()
	if err != nil {
		t.Fatal(err)
	}
	unpack := func(text string) string {
		t.Helper()
		raw, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		r, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	for _, key := range []string{"guestinfo.metadata", "guestinfo.userdata"} {
		if got := options[key+".encoding"]; got != "gzip+base64" {
			t.Errorf("%s.encoding is %q", key, got)
		}
	}
	meta := decode(t, unpack(options["guestinfo.metadata"]))
	if got := unpack(meta["network"].(string)); got != config || meta["network.encoding"] != "gzip+base64" {
		t.Errorf("network is %q, encoded as %v", got, meta["network.encoding"])
	}
	if meta["local-hostname"] != "db" || meta["instance-id"] != id.String() {
		t.Errorf("metadata is %v", meta)
	}
}
