package drivers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"

	"grapevine/fleet"
)

// EachFile walks the content of an image, its files one after the other in
// the order of im.Files, a converted disk in place of the image's own, and hands each to store. The reader that store gets
// ends with io.EOF only after the file's size and SHA-256 have proved right;
// otherwise it ends with an error that wraps ErrBadImage, so that a plain copy
// inside store fails before store could finish the file. What store leaves
// unread is read and verified all the same.
//
// EachFile returns store's error, the content's own read error, or an error
// that wraps ErrBadImage: an invalid manifest, a file too short, a wrong
// digest, or content after the last file. Undoing what store did is the
// caller's part. It blocks as content and store do.
func EachFile(im fleet.Image, content io.Reader, store func(f fleet.ImageFile, r io.Reader) error) error {
	if err := im.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadImage, err)
	}
	for _, f := range im.StoredFiles() {
		r := &fileReader{file: f, content: content, left: f.Bytes, sum: sha256.New()}
		if err := store(f, r); err != nil {
			return fmt.Errorf("store %s: %w", f.Role, err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return fmt.Errorf("read %s: %w", f.Role, err)
		}
	}
	return atEnd(content)
}

// atEnd makes sure that nothing follows the last file.
func atEnd(content io.Reader) error {
	var one [1]byte
	switch _, err := io.ReadFull(content, one[:]); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fmt.Errorf("read the end of the content: %w", err)
	default:
		return fmt.Errorf("%w: there is content after the last file", ErrBadImage)
	}
}

// fileReader reads one file out of the content and verifies it at its end.
type fileReader struct {
	file    fleet.ImageFile
	content io.Reader
	left    int64 // bytes of the file not yet read
	sum     hash.Hash
	end     error // what every later Read returns
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	if r.left == 0 {
		r.end = r.verdict()
		return 0, r.end
	}
	n, err := r.content.Read(p[:min(int64(len(p)), r.left)])
	r.sum.Write(p[:n])
	r.left -= int64(n)
	switch {
	case err == nil || r.left == 0:
		return n, nil
	case errors.Is(err, io.EOF):
		r.end = fmt.Errorf("%w: the %s ends after %d of %d bytes", ErrBadImage, r.file.Role, r.file.Bytes-r.left, r.file.Bytes)
	default:
		r.end = err
	}
	return n, r.end
}

// verdict is io.EOF when the whole file had the digest that it should have.
func (r *fileReader) verdict() error {
	if got := hex.EncodeToString(r.sum.Sum(nil)); got != r.file.SHA256 {
		return fmt.Errorf("%w: the %s's sha256 is %s, the manifest says %s", ErrBadImage, r.file.Role, got, r.file.SHA256)
	}
	return io.EOF
}
