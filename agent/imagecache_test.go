package agent_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"grapevine/fleet"
)

// many imports n images of one MiB each.
func (s *site) many(n int) []fleet.Image {
	s.t.Helper()
	var images []fleet.Image
	for i := range n {
		content := bytes.Repeat([]byte{byte(i), 'x'}, 1<<19)
		sum := sha256.Sum256(content)
		f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: 1 << 20, Format: "raw", VirtualBytes: 1 << 20}
		im := fleet.Image{ID: f.SHA256, Name: fmt.Sprintf("image-%d", i), Files: []fleet.ImageFile{f}, Bytes: f.Bytes}
		if _, err := s.ImportImage(s.t.Context(), fleet.HostID{}, im, bytes.NewReader(content)); err != nil {
			s.t.Fatal(err)
		}
		images = append(images, im)
	}
	return images
}

// builds makes an instance on the image, and deletes it again unless it is kept.
func (s *site) builds(n byte, im fleet.Image, keep bool) {
	s.t.Helper()
	p := of(n, im)
	s.claim(p)
	s.running(p.ID)
	if keep {
		return
	}
	if _, err := s.DeleteInstance(s.t.Context(), p.ID, patience); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) holdsOf(images []fleet.Image) (held []int) {
	s.t.Helper()
	host := s.host()
	for i, im := range images {
		if host.HoldsImage(im.ID) {
			held = append(held, i)
		}
	}
	return held
}

func TestCacheDropsWhatWasNotUsedForLongestAndNothingInUse(t *testing.T) {
	first := newSite(t, nil)
	images := first.many(4)
	second := first.beside(2, "host-2")
	second.cfg.ImageCacheMiB = 2
	second.restart()
	second.sees(images[3].ID, 1)
	second.builds(1, images[0], true) // stays: an instance is built on it
	second.builds(2, images[1], false)
	if got := fmt.Sprint(second.holdsOf(images)); got != "[0 1]" {
		t.Errorf("within the limit it holds %s", got)
	}
	second.builds(3, images[2], false)
	if got := fmt.Sprint(second.holdsOf(images)); got != "[0 2]" {
		t.Errorf("it holds %s, want that image 1 made room", got)
	}
	second.builds(4, images[3], true)
	if got := fmt.Sprint(second.holdsOf(images)); got != "[0 3]" {
		t.Errorf("it holds %s, want that image 2 made room", got)
	}
	second.builds(5, images[1], false)
	if got := fmt.Sprint(second.holdsOf(images)); got != "[0 1 3]" {
		t.Errorf("it holds %s, want what is in use beyond the limit", got)
	}
	if got := fmt.Sprint(first.holdsOf(images)); got != "[0 1 2 3]" {
		t.Errorf("what was imported is no cache: the first host holds %s", got)
	}
}

func TestLastCopyIsNotRemovedFromTheCache(t *testing.T) {
	first := newSite(t, nil)
	images := first.many(2)
	second := first.beside(2, "host-2")
	second.cfg.ImageCacheMiB = 1
	second.restart()
	second.sees(images[1].ID, 1)
	second.builds(1, images[0], false)
	if _, err := first.DeleteImage(t.Context(), images[0].ID, fleet.HostID{}); err != nil {
		t.Fatal(err)
	}
	second.sees(images[0].ID, 1)
	second.builds(2, images[1], false)
	if got := fmt.Sprint(second.holdsOf(images)); got != "[0 1]" {
		t.Errorf("it holds %s, want the only copy of image 0 too", got)
	}
}

func TestHolderWithTheLowestIDRemovesNothing(t *testing.T) {
	far := newSite(t, nil)
	near := far.beside(9, "host-9")
	images := near.many(2)
	far.stop()
	far.cfg.ImageCacheMiB, far.cfg.Join = 1, []string{near.agent.GossipAddr()}
	far.start()
	far.sees(images[1].ID, 1)
	far.builds(1, images[0], false)
	far.builds(2, images[1], false)
	if got := fmt.Sprint(far.holdsOf(images)); got != "[0 1]" {
		t.Errorf("it holds %s; the other holder may be about to remove its copy too", got)
	}
}
