package esxi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.ImageReader = (*Driver)(nil)

// ReadImage implements drivers.ImageReader. It reads the file that was
// uploaded, which is kept beside the host's own form of it: only its bytes have
// the digest that names the image.
func (d *Driver) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	what := fmt.Sprintf("read image %.12s", id)
	reading, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	var part *filePart
	err = d.do(reading, what, func(ctx context.Context, s *session) error {
		im, _, err := s.manifest(ctx, id)
		if err != nil {
			return err
		}
		f, ok := im.File(role)
		if !ok || offset > f.Bytes || im.Stored != nil {
			return drivers.ErrNotFound
		}
		part, err = s.open(reading, imageFolder(id)+"/"+uploaded(role), offset, min(length, f.Bytes-offset))
		return err
	})
	if err != nil {
		done()
		return nil, err
	}
	part.done = sync.OnceFunc(done)
	return part, nil
}

// uploaded is the file in which the content lies that was uploaded.
func uploaded(role fleet.ImageRole) string {
	if role == fleet.RoleISO {
		return isoFile
	}
	return uploadFile
}

// filePart is a part of a file of the datastore, on its way.
type filePart struct {
	content io.Reader
	body    io.Closer
	ctx     context.Context // io.Reader has no place for it; the reader ends with the call
	done    func()
}

// Read implements io.Reader.
func (p *filePart) Read(b []byte) (int, error) {
	n, err := p.content.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", drivers.ErrUnavailable, ended(p.ctx, err))
	}
	return n, err
}

// Close implements io.Closer.
func (p *filePart) Close() error {
	defer p.done()
	return p.body.Close()
}

// open reads length bytes of a file from offset on. A host that does not know
// ranges sends all of the file, of which the beginning is passed over.
func (s *session) open(ctx context.Context, name string, offset, length int64) (*filePart, error) {
	res, err := s.get(ctx, name, http.Header{"Range": {fmt.Sprintf("bytes=%d-%d", offset, offset+max(length, 1)-1)}})
	if err != nil {
		return nil, err
	}
	skip := int64(0)
	switch res.StatusCode {
	case http.StatusPartialContent:
	case http.StatusOK:
		skip = offset
	case http.StatusNotFound:
		err = drivers.ErrNotFound
	default:
		err = fmt.Errorf("read %s: %w", name, statusError(res))
	}
	if err == nil && skip > 0 {
		_, err = io.CopyN(io.Discard, res.Body, skip)
	}
	if err != nil {
		return nil, errors.Join(err, res.Body.Close())
	}
	return &filePart{content: io.LimitReader(res.Body, length), body: res.Body, ctx: ctx}, nil
}
