package drivertest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

// imagesAreReadBack reads each file of the image whole and in parts: the
// content is what was imported, to the byte.
func imagesAreReadBack(k *kit) {
	im, content := k.h.Image()
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
	for _, f := range im.Files {
		file := content[:f.Bytes]
		content = content[f.Bytes:]
		for _, r := range []struct{ offset, length int64 }{
			{0, f.Bytes},
			{0, 1},
			{f.Bytes / 2, f.Bytes / 4},
			{f.Bytes - 1, 1},
			{f.Bytes - 1, 100}, // past the end: what there is
		} {
			want := file[r.offset:min(r.offset+r.length, f.Bytes)]
			if got := k.readImage(im.ID, f.Role, r.offset, r.length); !bytes.Equal(got, want) {
				k.Errorf("%d bytes of %s from %d on: got %d bytes that are not those imported", r.length, f.Role, r.offset, len(got))
			}
		}
	}
}

func (k *kit) readImage(id string, role fleet.ImageRole, offset, length int64) []byte {
	k.Helper()
	r, err := ability[drivers.ImageReader](k).ReadImage(k.Context(), id, role, offset, length)
	k.must(err)
	got, err := io.ReadAll(r)
	k.must(errors.Join(err, r.Close()))
	return got
}

func readMissingImage(k *kit) {
	im, content := k.h.Image()
	k.must(k.images().ImportImage(k.Context(), im, bytes.NewReader(content)))
	reader := ability[drivers.ImageReader](k)
	for what, tt := range map[string]struct {
		id   string
		role fleet.ImageRole
	}{
		"another image": {strings.Repeat("0", 64), im.Files[0].Role},
		"no image's id": {"../" + im.ID, im.Files[0].Role},
		"another role":  {im.ID, "firmware"},
	} {
		if _, err := reader.ReadImage(k.Context(), tt.id, tt.role, 0, 1); !errors.Is(err, drivers.ErrNotFound) {
			k.Errorf("%s: got %v, want ErrNotFound", what, err)
		}
	}
	ended, cancel := context.WithCancel(k.Context())
	cancel()
	if _, err := reader.ReadImage(ended, im.ID, im.Files[0].Role, 0, 1); !errors.Is(err, context.Canceled) {
		k.Errorf("with an ended context: got %v", err)
	}
}
