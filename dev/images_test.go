package dev_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os/exec"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// An image that one KVM host was given, as a raw disk, runs on Xen, which takes
// it as it is, and on ESXi, whose agent converts it first.
func TestRawImageGetsToEveryHypervisor(t *testing.T) {
	if _, err := exec.LookPath("qemu-img"); err != nil {
		leaveout.Test(t, "qemu-img is not installed, so nothing converts the disk for ESXi")
	}
	c := run(t, 3)
	content := bytes.Repeat([]byte("grapevine"), 1<<20)[:9<<20]
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: 9 << 20, Format: fleet.FormatRaw, VirtualBytes: 9 << 20}
	im := fleet.Image{ID: f.SHA256, Name: "raw", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}
	hosts, err := c.Hosts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range hosts.Items {
		if h.Hypervisor == fleet.KVM {
			if _, err := c.ImportImage(t.Context(), h.ID, im, bytes.NewReader(content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	heard := false
	for deadline := time.Now().Add(time.Minute); !heard && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		_, err := c.Image(t.Context(), im.ID)
		heard = err == nil
	}
	for _, kind := range []fleet.Hypervisor{fleet.Xen, fleet.ESXi} {
		accepted, err := c.CreateInstance(t.Context(), fleet.Create{Name: "on-" + string(kind), Flavor: "nano", Image: "raw", Hypervisor: kind}, client.CreateOptions{Wait: time.Minute})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if row := accepted.Instance; row.Power != fleet.PowerRunning || row.Fault != "" {
			t.Errorf("%s: got power %q, fault %q; want it running", kind, row.Power, row.Fault)
		}
	}
}
