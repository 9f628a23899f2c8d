// Package exportfile is the file that an exported instance is: a plain tar
// archive (POSIX pax) that begins with its manifest, export.json, after which the
// files follow that the manifest lists, in its order. The manifest alone says
// where each byte is, so that a host can give any part of a file that exists
// nowhere in one piece, and what broke off can go on. See docs/export.md.
package exportfile

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"grapevine/fleet"
)

// manifestName is the name of the first entry; maxManifest bounds it.
const (
	manifestName = "export.json"
	maxManifest  = 1 << 20
	block        = 512 // of a tar archive
)

// Layout says where everything is in the file of an export.
type Layout struct {
	pieces []piece
	size   int64
}

// piece is a run of bytes: those that are here, or the file with this number.
type piece struct {
	at     int64
	length int64
	here   []byte
	file   int
}

// NewLayout lays out the file of an export.
func NewLayout(e *fleet.Export) (*Layout, error) {
	manifest, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	l := &Layout{}
	if err := l.header(manifestName, int64(len(manifest))); err != nil {
		return nil, err
	}
	l.add(piece{here: manifest, length: int64(len(manifest))})
	l.pad()
	for i, f := range e.Files {
		if err := l.header(f.Name, f.Bytes); err != nil {
			return nil, err
		}
		l.add(piece{length: f.Bytes, file: i})
		l.pad()
	}
	l.add(piece{here: make([]byte, 2*block), length: 2 * block}) // how tar ends
	return l, nil
}

func (l *Layout) add(p piece) {
	p.at = l.size
	l.pieces = append(l.pieces, p)
	l.size += p.length
}

func (l *Layout) header(name string, length int64) error {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: length, Mode: 0o600, Format: tar.FormatPAX})
	if err != nil {
		return fmt.Errorf("write tar header: %w", err)
	}
	l.add(piece{here: b.Bytes(), length: int64(b.Len())})
	return nil
}

func (l *Layout) pad() {
	if rest := l.size % block; rest > 0 {
		l.add(piece{here: make([]byte, block-rest), length: block - rest})
	}
}

// Size is how long the file is.
func (l *Layout) Size() int64 { return l.size }

// Reader reads the file, given the files of the manifest in its order.
func (l *Layout) Reader(files []io.ReaderAt) io.ReaderAt { return &whole{l, files} }

type whole struct {
	*Layout
	files []io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (w *whole) ReadAt(p []byte, at int64) (int, error) {
	done := 0
	for _, piece := range w.pieces {
		skip := at + int64(done) - piece.at
		if skip < 0 || skip >= piece.length {
			continue
		}
		part := p[done:]
		part = part[:min(int64(len(part)), piece.length-skip)]
		if piece.here != nil {
			copy(part, piece.here[skip:])
		} else if n, err := w.files[piece.file].ReadAt(part, skip); n < len(part) {
			return done + n, fmt.Errorf("read file %d of the export: %w", piece.file, errors.Join(err, io.ErrUnexpectedEOF))
		}
		if done += len(part); done == len(p) {
			return done, nil
		}
	}
	return done, io.EOF
}
