package esxi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/vmware/govmomi/vim25/mo"

	"grapevine/drivers"
)

// get asks for a file of the datastore; the caller looks at the status and
// closes the body.
func (s *session) get(ctx context.Context, name string, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.datastore.NewURL(name).String(), nil)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	for key := range header {
		req.Header.Set(key, header.Get(key))
	}
	res, err := s.send(req, func() bool { return true })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return res, nil
}

// upload writes a file of a known size onto the datastore.
func (s *session) upload(ctx context.Context, name string, content io.Reader, size int64) error {
	source := &sourceReader{r: content}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.datastore.NewURL(name).String(), io.NopCloser(source))
	if err != nil {
		return fmt.Errorf("upload %s: %w", name, err)
	}
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/octet-stream")
	// The host has opened the file before it asks for the content. So when the
	// content breaks off, removing the file is not overtaken by making it; and
	// a login that has ended shows before any content is spent.
	req.Header.Set("Expect", "100-continue")
	res, err := s.send(req, func() bool { return source.n == 0 })
	if source.err != nil {
		return source.err // the content's own error, in its own words
	}
	if err != nil {
		return s.explain(ctx, size-source.n, fmt.Errorf("upload %s: %w", name, err))
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK, http.StatusCreated:
		return nil
	case http.StatusInsufficientStorage, http.StatusRequestEntityTooLarge:
		return fmt.Errorf("upload %s: %w: %s", name, drivers.ErrOutOfSpace, res.Status)
	default:
		return s.explain(ctx, size-source.n, fmt.Errorf("upload %s: %w", name, statusError(res)))
	}
}

// explain says that the datastore is full where that is why an upload failed
// with so much still to be written: a host does not say so by itself.
func (s *session) explain(ctx context.Context, left int64, err error) error {
	asking, cancel := steady(ctx)
	defer cancel()
	var store mo.Datastore
	if s.properties().RetrieveOne(asking, s.datastore.Reference(), []string{"summary.freeSpace"}, &store) == nil && store.Summary.FreeSpace < max(left, 1) {
		return fmt.Errorf("%w: %w", drivers.ErrOutOfSpace, err)
	}
	return err
}

// send sends a request about a file. Where the host no longer knows the login,
// and the request's body is whole, it is sent once more with a new one.
func (s *session) send(req *http.Request, whole func() bool) (*http.Response, error) {
	seen := s.renewing.logins.Load()
	res, err := s.client.Client.Client.Do(req)
	if err != nil || res.StatusCode != http.StatusUnauthorized || !whole() {
		return res, err
	}
	_ = res.Body.Close()
	if err := s.renewing.renew(req.Context(), seen); err != nil {
		return nil, err
	}
	req.Header.Del("Cookie") // that of the login that has ended
	return s.client.Client.Client.Do(req)
}

// sourceReader counts what was read, and keeps the error with which the source
// ended.
type sourceReader struct {
	r   io.Reader
	n   int64
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	s.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// statusError is a status that is no success. A login that the host no longer
// knows, and a host that is starting, answer so; both heal.
func statusError(res *http.Response) error {
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable, http.StatusBadGateway:
		return fmt.Errorf("%w: the host answered %s", drivers.ErrUnavailable, res.Status)
	default:
		return fmt.Errorf("the host answered %s", res.Status)
	}
}
