package esxi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"path"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"grapevine/drivers"
	"grapevine/drivers/esxi/vcsim"
	"grapevine/fleet"
)

// rescuerImage is the tiny image with a byte behind it, which nothing heeds.
func rescuerImage() (fleet.Image, []byte) {
	im, content := vcsim.TinyImage()
	content = append(bytes.Clone(content), 0)
	sum := sha256.Sum256(content)
	f := im.Files[0]
	f.SHA256, f.Bytes = hex.EncodeToString(sum[:]), int64(len(content))
	return fleet.Image{ID: f.SHA256, Name: "rescuer", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}, content
}

// bootable is a lab whose machine somebody has told to boot from the network.
func bootable(t *testing.T) (*lab, fleet.InstanceID, []string) {
	t.Helper()
	l := newLab(t)
	id := l.spec.Mark.ID
	l.must(l.d.ImportImage(t.Context(), l.spec.Image, bytes.NewReader(l.content)))
	l.spec.Cards = fleet.Cards(id, nil)
	l.must(l.d.Build(t.Context(), l.spec))
	l.must(l.h.host.BootFromNetwork(id))
	return l, id, l.boots(id)
}

func (l *lab) boots(id fleet.InstanceID) []string {
	l.t.Helper()
	names, err := l.h.host.Boots(id)
	l.must(err)
	for i, name := range names {
		names[i] = path.Base(name)
	}
	return names
}

func TestRescueDiskIsBootedAloneAndGoesWithTheRescue(t *testing.T) {
	l, id, before := bootable(t)
	if diff := cmp.Diff([]string{l.spec.Cards[0].MAC}, before); diff != "" {
		t.Fatalf("before its rescue it boots (-want +got):\n%s", diff)
	}
	l.must(l.d.Rescue(t.Context(), id, l.rescuer, l.rescued()))
	if diff := cmp.Diff([]string{"rescue.vmdk"}, l.boots(id)); diff != "" {
		t.Errorf("rescued, it boots (-want +got):\n%s", diff)
	}
	devices, err := l.d.Devices(t.Context(), id)
	if err != nil || len(devices) != 2 || devices[0].Name != drivers.DiskName(0) {
		t.Errorf("rescued, its devices are %+v (%v), want its own disk and its card", devices, err)
	}
	l.must(l.d.Unrescue(t.Context(), id, l.spec.Mark))
	if diff := cmp.Diff(before, l.boots(id)); diff != "" {
		t.Errorf("after its rescue it boots (-before +after):\n%s", diff)
	}
}

func TestRescueCDTakesThePlaceOfAnotherForThatWhile(t *testing.T) {
	l, id, before := bootable(t)
	own, rescuer := l.disc("own"), l.disc("rescuer")
	l.rescuer = rescuer
	check := func(what string, want ...fleet.Device) {
		t.Helper()
		devices, err := l.d.Devices(t.Context(), id)
		l.must(err)
		if diff := cmp.Diff(want, devices[2:], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s its CDs are (-want +got):\n%s", what, diff)
		}
	}
	cd := func(name string, im fleet.Image) fleet.Device {
		return fleet.Device{Kind: fleet.DeviceISO, Name: name, Image: im.ID}
	}
	rescue := func(during []fleet.Device, after ...fleet.Device) {
		t.Helper()
		l.must(l.d.Rescue(t.Context(), id, rescuer, l.rescued()))
		if got := l.boots(id); len(got) == 0 || got[0] != "disc.iso" {
			t.Errorf("rescued, it boots %q, want the CD", got)
		}
		check("rescued,", during...)
		l.must(l.d.Unrescue(t.Context(), id, l.spec.Mark))
		check("after its rescue", after...)
		if diff := cmp.Diff(before, l.boots(id)); diff != "" {
			t.Errorf("after its rescue it boots (-before +after):\n%s", diff)
		}
	}
	rescue([]fleet.Device{cd("iso-0", rescuer)})
	for _, name := range []string{"iso-1", "iso-2"} {
		l.must(l.d.AttachDevice(t.Context(), id, drivers.Attachment{Kind: fleet.DeviceISO, Name: name, Image: own.ID}))
	}
	rescue([]fleet.Device{cd("iso-1", rescuer), cd("iso-2", own)}, cd("iso-1", own), cd("iso-2", own))
}

// disc imports an image of a CD that holds a word.
func (l *lab) disc(word string) fleet.Image {
	l.t.Helper()
	sum := sha256.Sum256([]byte(word))
	f := fleet.ImageFile{Role: fleet.RoleISO, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(word))}
	im := fleet.Image{ID: f.SHA256, Name: word, Files: []fleet.ImageFile{f}, Bytes: f.Bytes}
	l.must(l.d.ImportImage(l.t.Context(), im, bytes.NewReader([]byte(word))))
	return im
}
