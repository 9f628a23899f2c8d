package exportfile

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"grapevine/fleet"
)

// ErrDamaged says that a file is not what its manifest says.
var ErrDamaged = errors.New("the file is damaged")

// Manifest reads the beginning of a file.
func Manifest(r io.Reader) (fleet.Export, error) {
	e, _, err := begin(r)
	return e, err
}

func begin(r io.Reader) (fleet.Export, *tar.Reader, error) {
	archive := tar.NewReader(r)
	header, err := archive.Next()
	if err != nil {
		return fleet.Export{}, nil, fmt.Errorf("it is no export: %w", err)
	}
	if header.Name != manifestName || header.Size > maxManifest {
		return fleet.Export{}, nil, fmt.Errorf("it is no export: it begins with %.80q and not with %s", header.Name, manifestName)
	}
	text, err := io.ReadAll(archive)
	if err != nil {
		return fleet.Export{}, nil, fmt.Errorf("%w: read manifest: %w", ErrDamaged, err)
	}
	var e fleet.Export
	if err := json.Unmarshal(text, &e); err != nil {
		return fleet.Export{}, nil, fmt.Errorf("%w: read manifest: %w", ErrDamaged, err)
	}
	return e, archive, e.Validate()
}

// Verified is a file that is what its manifest says.
type Verified struct {
	fleet.Export
	// Offsets are where the files of the manifest begin.
	Offsets []int64
	// SHA256 and Bytes are of the whole file.
	SHA256 string
	Bytes  int64
}

// Verify reads a file to its end and compares every digest.
func Verify(r io.Reader) (Verified, error) {
	all := &counted{from: r, sum: sha256.New()}
	e, archive, err := begin(all)
	if err != nil {
		return Verified{}, err
	}
	v := Verified{Export: e}
	for _, f := range e.Files {
		header, err := archive.Next()
		if err != nil {
			return v, fmt.Errorf("%w: it ends before %s: %w", ErrDamaged, f.Name, err)
		}
		if header.Name != f.Name || header.Size != f.Bytes {
			return v, fmt.Errorf("%w: where %s of %d bytes should be it has %.80q of %d", ErrDamaged, f.Name, f.Bytes, header.Name, header.Size)
		}
		v.Offsets = append(v.Offsets, all.n)
		sum := sha256.New()
		if _, err := io.Copy(sum, archive); err != nil {
			return v, fmt.Errorf("%w: read %s: %w", ErrDamaged, f.Name, err)
		}
		if got := hex.EncodeToString(sum.Sum(nil)); got != f.SHA256 {
			return v, fmt.Errorf("%w: the sha256 of %s is %s, its manifest says %s", ErrDamaged, f.Name, got, f.SHA256)
		}
	}
	if _, err := archive.Next(); !errors.Is(err, io.EOF) {
		return v, fmt.Errorf("%w: there is more in it than its manifest says", ErrDamaged)
	}
	if _, err := io.Copy(io.Discard, all); err != nil {
		return v, err
	}
	v.SHA256, v.Bytes = hex.EncodeToString(all.sum.Sum(nil)), all.n
	return v, nil
}

// counted counts and digests what is read, and hides that its source can seek:
// what is passed over would not be digested.
type counted struct {
	from io.Reader
	sum  hash.Hash
	n    int64
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	_, _ = c.sum.Write(p[:n]) // a hash takes everything
	c.n += int64(n)
	return n, err
}
