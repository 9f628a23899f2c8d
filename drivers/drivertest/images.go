package drivertest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func imagesAreKept(k *kit) {
	store := k.images()
	im, content := k.h.Image()
	k.must(store.RemoveImage(k.Context(), im.ID))
	without := k.storage()
	if k.holds(im.ID) {
		k.Error("a removed image is listed")
	}
	k.must(store.ImportImage(k.Context(), im, iotest.OneByteReader(bytes.NewReader(content))))
	list, err := store.Images(k.Context())
	k.must(err)
	i := slices.IndexFunc(list, func(got fleet.Image) bool { return got.ID == im.ID })
	if i < 0 {
		k.Fatal("an imported image is not listed")
	}
	im.Hosts = nil
	if diff := cmp.Diff(im, list[i]); diff != "" {
		k.Errorf("the image is listed otherwise (-want +got):\n%s", diff)
	}
	if !slices.IsSortedFunc(list, func(a, b fleet.Image) int { return cmpString(a.ID, b.ID) }) {
		k.Error("images are not ordered by id")
	}
	again := iotest.ErrReader(errors.New("an image that is there is read again"))
	if err := store.ImportImage(k.Context(), im, again); err != nil {
		k.Errorf("import again: %v", err)
	}
	for range 2 {
		k.must(store.RemoveImage(k.Context(), im.ID))
	}
	if k.holds(im.ID) {
		k.Error("a removed image is listed")
	}
	if diff := cmp.Diff(without, k.storage()); diff != "" {
		k.Errorf("the removed image left something:\n%s", diff)
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

// holds reports whether the image is listed.
func (k *kit) holds(id string) bool {
	k.Helper()
	list, err := k.images().Images(k.Context())
	k.must(err)
	return slices.ContainsFunc(list, func(im fleet.Image) bool { return im.ID == id })
}

func badImageLeavesNothing(k *kit) {
	store := k.images()
	im, content := k.h.Image()
	k.must(store.RemoveImage(k.Context(), im.ID))
	before := k.storage()
	wrong := bytes.Clone(content)
	wrong[len(wrong)-1] ^= 1
	broken := errors.New("the sender went away")
	for what, tt := range map[string]struct {
		content io.Reader
		want    error
	}{
		"wrong digest": {bytes.NewReader(wrong), drivers.ErrBadImage},
		"too short":    {bytes.NewReader(content[:len(content)-1]), drivers.ErrBadImage},
		"too long":     {io.MultiReader(bytes.NewReader(content), bytes.NewReader(content)), drivers.ErrBadImage},
		"broken off":   {io.MultiReader(bytes.NewReader(content[:len(content)/2]), iotest.ErrReader(broken)), broken},
	} {
		if err := store.ImportImage(k.Context(), im, tt.content); !errors.Is(err, tt.want) {
			k.Errorf("%s: got %v, want %v", what, err, tt.want)
		}
		if k.holds(im.ID) {
			k.Errorf("%s: the image is listed", what)
		}
		if diff := cmp.Diff(before, k.storage()); diff != "" {
			k.Errorf("%s: something was left:\n%s", what, diff)
		}
	}
	k.must(store.ImportImage(k.Context(), im, bytes.NewReader(content)))
}
