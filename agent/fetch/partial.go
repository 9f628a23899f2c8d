package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"grapevine/fleet"
)

// partial is a file of an image of which some ranges are there. Beside it lies
// its map, one byte for each range: done or not. The map is written after the
// range. It is not synced: after a power cut it may name what is not there,
// which the digest finds out.
type partial struct {
	file   fleet.ImageFile
	step   int64 // length of a range
	data   *os.File
	marks  *os.File
	mu     sync.Mutex
	done   []byte // guarded by mu: the map
	landed int64  // guarded by mu: bytes that are there
}

const (
	missing = '.'
	there   = 'x'
)

// open opens a file of an image in the spool, making it where it is missing.
func (s *Spool) open(id string, f fleet.ImageFile) (*partial, error) {
	folder := s.Folder(id)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, Full(err)
	}
	p := &partial{file: f, step: s.cfg.RangeBytes}
	var err error
	if p.data, err = os.OpenFile(filepath.Join(folder, string(f.Role)), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, Full(err)
	}
	// The range's length is in the name: a map of other ranges is another map.
	name := string(f.Role) + ".ranges." + strconv.FormatInt(p.step, 10)
	if p.marks, err = os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, errors.Join(Full(err), p.data.Close())
	}
	if err := p.load(); err != nil {
		return nil, errors.Join(Full(err), p.close())
	}
	return p, nil
}

// load reads the map; one that is of no use is begun anew.
func (p *partial) load() error {
	var err error
	if p.done, err = io.ReadAll(io.LimitReader(p.marks, p.ranges()+1)); err != nil {
		return err
	}
	info, err := p.data.Stat()
	if err != nil {
		return err
	}
	if int64(len(p.done)) != p.ranges() || info.Size() != p.file.Bytes {
		return p.clear()
	}
	for i, mark := range p.done {
		if mark == there {
			_, length := p.bounds(int64(i))
			p.landed += length
		}
	}
	return nil
}

// clear forgets all that is there.
func (p *partial) clear() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.landed = make([]byte, p.ranges()), 0
	for i := range p.done {
		p.done[i] = missing
	}
	_, err := p.marks.WriteAt(p.done, 0)
	return errors.Join(err, p.marks.Truncate(p.ranges()), p.data.Truncate(0), p.data.Truncate(p.file.Bytes))
}

func (p *partial) close() error { return errors.Join(p.data.Close(), p.marks.Close()) }

func (p *partial) ranges() int64 { return (p.file.Bytes + p.step - 1) / p.step }

func (p *partial) bounds(i int64) (offset, length int64) {
	return i * p.step, min(p.step, p.file.Bytes-i*p.step)
}

// absent lists the ranges that are not there.
func (p *partial) absent() []int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []int64
	for i, mark := range p.done {
		if mark != there {
			out = append(out, int64(i))
		}
	}
	return out
}

func (p *partial) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.landed
}

// land notes that a range is there.
func (p *partial) land(i int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, err := p.marks.WriteAt([]byte{there}, i); err != nil {
		return Full(err)
	}
	p.done[i] = there
	_, length := p.bounds(i)
	p.landed += length
	return nil
}

// verify compares the file's digest with the manifest's.
func (p *partial) verify() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(p.data, 0, p.file.Bytes)); err != nil {
		return fmt.Errorf("read spool: %w", err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != p.file.SHA256 {
		return fmt.Errorf("%w: the %s has the sha256 %.12s, it should be %.12s", ErrBadContent, p.file.Role, got, p.file.SHA256)
	}
	return nil
}
