package drivers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func twoFiles() fleet.Image {
	im := fleet.Image{Name: "two", Files: []fleet.ImageFile{
		{Role: fleet.RoleKernel, SHA256: digest("kernel"), Bytes: 6},
		{Role: fleet.RoleInitrd, SHA256: digest("initrd!"), Bytes: 7},
	}, Bytes: 13}
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	return im
}

func TestEachFileHandsOutEveryFileInOrder(t *testing.T) {
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"plain": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "data with EOF": iotest.DataErrReader,
	} {
		t.Run(name, func(t *testing.T) {
			got := map[fleet.ImageRole]string{}
			err := EachFile(twoFiles(), wrap(strings.NewReader("kernelinitrd!")), func(f fleet.ImageFile, r io.Reader) error {
				b, err := io.ReadAll(r)
				got[f.Role] = string(b)
				return err
			})
			want := map[fleet.ImageRole]string{fleet.RoleKernel: "kernel", fleet.RoleInitrd: "initrd!"}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("error %v, files (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestEachFileRefusesContentThatIsNotTheManifests(t *testing.T) {
	badID := twoFiles()
	badID.ID = digest("else")
	for name, tt := range map[string]struct {
		im      fleet.Image
		content string
	}{
		"wrong digest":     {twoFiles(), "kernelINITRD!"},
		"too short":        {twoFiles(), "kernelini"},
		"nothing":          {twoFiles(), ""},
		"too long":         {twoFiles(), "kernelinitrd!+"},
		"id not of itself": {badID, "kernelinitrd!"},
	} {
		t.Run(name, func(t *testing.T) {
			copyAll := func(_ fleet.ImageFile, r io.Reader) error {
				_, err := io.Copy(io.Discard, r)
				return err
			}
			readNothing := func(fleet.ImageFile, io.Reader) error { return nil }
			for _, store := range []func(fleet.ImageFile, io.Reader) error{copyAll, readNothing} {
				if err := EachFile(tt.im, strings.NewReader(tt.content), store); !errors.Is(err, ErrBadImage) {
					t.Errorf("got %v, want ErrBadImage", err)
				}
			}
		})
	}
}

func TestEachFileShowsADigestErrorToTheCopyItself(t *testing.T) {
	var inside error
	err := EachFile(twoFiles(), strings.NewReader("KERNELinitrd!"), func(_ fleet.ImageFile, r io.Reader) error {
		_, inside = io.ReadAll(r)
		return inside
	})
	if !errors.Is(inside, ErrBadImage) || !errors.Is(err, ErrBadImage) {
		t.Errorf("inside %v, outside %v; want ErrBadImage twice", inside, err)
	}
}

func TestEachFilePassesOtherErrorsOn(t *testing.T) {
	broken := errors.New("connection reset")
	copyAll := func(_ fleet.ImageFile, r io.Reader) error {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	if err := EachFile(twoFiles(), io.MultiReader(strings.NewReader("ker"), iotest.ErrReader(broken)), copyAll); !errors.Is(err, broken) || errors.Is(err, ErrBadImage) {
		t.Errorf("broken content: got %v, want only %v", err, broken)
	}
	full := func(fleet.ImageFile, io.Reader) error { return ErrOutOfSpace }
	if err := EachFile(twoFiles(), strings.NewReader("kernelinitrd!"), full); !errors.Is(err, ErrOutOfSpace) {
		t.Errorf("full storage: got %v, want ErrOutOfSpace", err)
	}
}
