package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

func TestImageIsDeletedOnceNothingIsBuiltOnIt(t *testing.T) {
	s := newSite(t, nil)
	im, _ := tiny()
	id := s.built()
	_, err := s.DeleteImage(t.Context(), im.ID, fleet.HostID{})
	code(t, err, fleet.CodeConflict)
	var refused *fleet.Error
	if !errors.As(err, &refused) || len(refused.Candidates) != 1 || refused.Candidates[0] != id.String() || !strings.Contains(refused.Detail, "instance web ("+id.String()+")") {
		t.Errorf("the refusal %v names %v, want the instance", err, refused.Candidates)
	}
	if host := s.host(); !host.HoldsImage(im.ID) {
		t.Error("a refused deletion took the image out of the host's row")
	}
	if _, err := s.DeleteInstance(t.Context(), id, patience); err != nil {
		t.Fatal(err)
	}
	done, err := s.DeleteImage(t.Context(), im.ID, s.id)
	if err != nil || len(done.Removed) != 1 || done.Removed[0] != s.id {
		t.Errorf("got %+v, %v", done, err)
	}
	if host := s.host(); host.HoldsImage(im.ID) {
		t.Error("the host's row still tells of the image")
	}
	_, err = s.DeleteImage(t.Context(), im.ID, fleet.HostID{})
	code(t, err, fleet.CodeNotFound)
	_, err = s.agent.DeleteImage(t.Context(), im.ID, fleet.UUID{77})
	code(t, err, fleet.CodeMisdirected)
}

func TestImageThatIsBeingUsedIsNotDeleted(t *testing.T) {
	s := newSite(t, nil)
	im, _ := tiny()
	gate := s.hypervisor.HoldNextBuild(1)
	defer gate.Release()
	p := proposal(1, 512)
	s.claim(p)
	<-gate.Reached()
	_, err := s.DeleteImage(t.Context(), im.ID, fleet.HostID{})
	code(t, err, fleet.CodeConflict)
	gate.Release()
	s.running(p.ID)
}

func TestImageInADriveIsNotDeleted(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	content := []byte("a CD")
	sum := sha256.Sum256(content)
	file := fleet.ImageFile{Role: fleet.RoleISO, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}
	cd := fleet.Image{ID: file.SHA256, Name: "cd", Files: []fleet.ImageFile{file}, Bytes: file.Bytes}
	if _, err := s.agent.ImportImage(t.Context(), fleet.HostID{}, cd, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	s.changeDevice(id, fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceISO, Image: "cd"}})
	_, err := s.DeleteImage(t.Context(), cd.ID, fleet.HostID{})
	code(t, err, fleet.CodeConflict)
	if host := s.host(); !host.HoldsImage(cd.ID) {
		t.Error("a refused deletion took the image out of the host's row")
	}
	s.changeDevice(id, fleet.DeviceChange{Verb: fleet.DetachDevice, Name: "iso-0"})
	if _, err := s.DeleteImage(t.Context(), cd.ID, fleet.HostID{}); err != nil {
		t.Errorf("delete an image that is in no drive any more: %v", err)
	}
}

// remover holds up the removal of images.
type remover struct {
	*simulated.Driver
	begun, end chan struct{}
}

func (r *remover) RemoveImage(ctx context.Context, id string) error {
	close(r.begun)
	<-r.end
	return r.Driver.RemoveImage(ctx, id)
}

// A build that comes while its image is being removed waits for the end of that,
// and gets the image from another host.
func TestBuildWaitsForARemovalAndFetches(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	second.running(second.claim(of(1, im)).Instance.ID)
	first.sees(im.ID, 2)
	r := &remover{begun: make(chan struct{}), end: make(chan struct{})}
	first.wrap = func(d *simulated.Driver) drivers.Driver {
		r.Driver = d
		return r
	}
	first.cfg.Join = []string{second.agent.GossipAddr()}
	first.restart()
	first.sees(im.ID, 2)
	removed := make(chan error, 1)
	go func() {
		_, err := first.DeleteImage(t.Context(), im.ID, fleet.HostID{})
		removed <- err
	}()
	<-r.begun
	host := first.host()
	if host.HoldsImage(im.ID) {
		t.Error("an image that is being removed is in the host's row")
	}
	id := first.claim(of(2, im)).Instance.ID
	close(r.end)
	if err := <-removed; err != nil {
		t.Fatal(err)
	}
	first.running(id)
	first.holds(im)
}
