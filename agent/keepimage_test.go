package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"grapevine/agent/convert"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
	"grapevine/internal/leaveout"
)

// picky is a hypervisor that takes VMDK and nothing else, as ESXi; what it is
// given is in a file too.
type picky struct {
	*simulated.Driver
	given string
}

func (p *picky) Describe(ctx context.Context) (drivers.Description, error) {
	d, err := p.Driver.Describe(ctx)
	d.Disks = []string{fleet.FormatVMDK}
	return d, err
}

func (p *picky) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	file, err := os.Create(p.given)
	if err != nil {
		return err
	}
	defer file.Close()
	return p.Driver.ImportImage(ctx, im, io.TeeReader(content, file))
}

// pick makes the site's hypervisor a picky one, and returns where it keeps what
// it is given.
func (s *site) pick() string {
	s.t.Helper()
	if _, err := convert.Find(); err != nil {
		leaveout.Test(s.t, err.Error())
	}
	given := filepath.Join(s.t.TempDir(), "given")
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &picky{d, given} }
	s.restart()
	return given
}

// isVMDK checks that the host has the raw image of this content as a VMDK.
func (s *site) isVMDK(im fleet.Image, given string) {
	s.t.Helper()
	back := given + ".raw"
	if out, err := exec.Command("qemu-img", "convert", "-f", "vmdk", "-O", "raw", given, back).CombinedOutput(); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(back)
	if err != nil {
		s.t.Fatal(err)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != im.ID {
		s.t.Errorf("the hypervisor was given a disk of %d bytes that is not the image's", len(content))
	}
	held, err := s.hypervisor.Connect().Images(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, h := range held {
		if h.ID == im.ID && (h.Stored == nil || h.Stored.Format != fleet.FormatVMDK || h.Files[0] != im.Files[0]) {
			s.t.Errorf("it holds %+v", h)
		}
	}
	host := s.host()
	if !host.HoldsImage(im.ID) {
		s.t.Error("the host's row does not tell of the image")
	}
	_, err = s.ReadImage(s.t.Context(), im.ID, fleet.RoleDisk, 0, 1)
	code(s.t, err, fleet.CodeNotFound) // its bytes are not the image's
	s.spoolIsEmpty()
}

func TestFetchedDiskIsConvertedForTheHypervisor(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	second := first.beside(2, "host-2")
	given := second.pick()
	second.sees(im.ID, 1)
	second.running(second.claim(of(1, im)).Instance.ID)
	second.isVMDK(im, given)
	first.sees(im.ID, 2)
	third := first.beside(3, "host-3")
	third.sees(im.ID, 2)
	third.running(third.claim(of(2, im)).Instance.ID) // from the first: the second cannot give it
	third.holds(im)
}

func TestUploadedDiskIsConvertedForTheHypervisor(t *testing.T) {
	s := newSite(t, nil)
	given := s.pick()
	im := s.store()
	s.isVMDK(im, given)
	wrong, content := ranged()
	content[7] ^= 1
	wrong.Name = "again"
	if _, err := s.DeleteImage(t.Context(), im.ID, fleet.HostID{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.ImportImage(t.Context(), fleet.HostID{}, wrong, bytes.NewReader(content))
	code(t, err, fleet.CodeInvalid)
	s.spoolIsEmpty()
}

func TestNobodyTellsAHostWhatItStores(t *testing.T) {
	s := newSite(t, nil)
	im, content := ranged()
	other := im.Files[0]
	im.Stored = &other
	_, err := s.ImportImage(t.Context(), fleet.HostID{}, im, bytes.NewReader(content))
	code(t, err, fleet.CodeInvalid)
}
