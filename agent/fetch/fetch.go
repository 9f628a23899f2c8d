package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"grapevine/fleet"
)

// Content is an image in the spool, whole and verified.
type Content struct {
	spool *Spool
	id    string
	files []*partial
}

// Close removes the content from the spool.
func (c *Content) Close() error {
	return errors.Join(closeAll(c.files), c.spool.Drop(c.id))
}

// Paths says where the files lie.
func (c *Content) Paths() map[fleet.ImageRole]string {
	out := map[fleet.ImageRole]string{}
	for _, p := range c.files {
		out[p.file.Role] = p.data.Name()
	}
	return out
}

// Reader reads the files one after the other in the order of the manifest, each
// time from the beginning.
func (c *Content) Reader() io.Reader {
	var readers []io.Reader
	for _, p := range c.files {
		readers = append(readers, io.NewSectionReader(p.data, 0, p.file.Bytes))
	}
	return io.MultiReader(readers...)
}

// Fetch brings an image into the spool and returns its content, verified. The
// manifest must be valid. From returns those who hold the image now, and is
// asked again and again; progress, which may be nil, is told how many bytes are
// there. What has come stays for the next try when ctx ends or nobody is left to
// ask; it is removed when the disk is full or the content is wrong.
func (s *Spool) Fetch(ctx context.Context, im fleet.Image, from func() []Source, progress func(done int64)) (*Content, error) {
	if progress == nil {
		progress = func(int64) {}
	}
	content, err := s.fetch(ctx, im, from, progress)
	if wrong, ok := errors.AsType[*wrongContentError](err); ok {
		s.cfg.Log.Warn("image fetched is not what it should be; its holders are tried one by one", "image", im.ID, "error", err)
		content, err = s.fetchSingly(ctx, im, from, progress, wrong)
	}
	if errors.Is(err, ErrOutOfSpace) || errors.Is(err, ErrBadContent) {
		err = errors.Join(err, s.Drop(im.ID))
	}
	return content, err
}

// fetchSingly asks one holder after the other for all of the image, after wrong
// came from them together.
func (s *Spool) fetchSingly(ctx context.Context, im fleet.Image, from func() []Source, progress func(int64), wrong *wrongContentError) (*Content, error) {
	errs := []error{wrong}
	for _, source := range from() {
		if source.Name == wrong.by {
			continue
		}
		if err := s.Drop(im.ID); err != nil {
			return nil, err
		}
		content, err := s.fetch(ctx, im, func() []Source { return []Source{source} }, progress)
		if err == nil || ctx.Err() != nil || errors.Is(err, ErrOutOfSpace) {
			return content, err
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// wrongContentError is content with another digest.
type wrongContentError struct {
	err error
	by  string // who alone it came from; empty where it came from several, or in several tries
}

// Error implements error.
func (w *wrongContentError) Error() string { return w.err.Error() }

// Unwrap returns the cause.
func (w *wrongContentError) Unwrap() error { return w.err }

func (s *Spool) fetch(ctx context.Context, im fleet.Image, from func() []Source, progress func(int64)) (*Content, error) {
	f := &fetching{spool: s, sources: newSources(from, s.cfg.Retry), progress: progress}
	if err := f.open(im); err != nil {
		return nil, errors.Join(err, closeAll(f.files))
	}
	err := f.run(ctx)
	if err == nil {
		err = f.verify()
	}
	if err != nil {
		return nil, errors.Join(err, closeAll(f.files))
	}
	return &Content{spool: s, id: im.ID, files: f.files}, nil
}

func closeAll(files []*partial) error {
	var errs []error
	for _, p := range files {
		errs = append(errs, p.close())
	}
	return errors.Join(errs...)
}

// fetching is one image on its way.
type fetching struct {
	spool    *Spool
	sources  *sources
	files    []*partial
	progress func(int64)
	resumed  bool // some of it is from an earlier try
}

// piece is a range of a file.
type piece struct {
	of    *partial
	index int64
}

func (f *fetching) open(im fleet.Image) error {
	for _, file := range im.Files {
		p, err := f.spool.open(im.ID, file)
		if err != nil {
			return fmt.Errorf("open spool: %w", err)
		}
		f.files = append(f.files, p)
	}
	missing := int64(0)
	for _, p := range f.files {
		missing += p.file.Bytes - p.bytes()
		f.resumed = f.resumed || p.bytes() > 0
	}
	return f.spool.Require(missing)
}

// run brings all pieces that are missing. The first piece that nobody gives ends
// the others.
func (f *fetching) run(ctx context.Context) error {
	var pieces []piece
	for _, p := range f.files {
		for _, i := range p.absent() {
			pieces = append(pieces, piece{p, i})
		}
	}
	f.report()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan piece, len(pieces))
	for _, p := range pieces {
		next <- p
	}
	close(next)
	var workers sync.WaitGroup
	for range min(f.spool.cfg.AtOnce, len(pieces)) {
		workers.Go(func() {
			for p := range next {
				if err := f.bring(ctx, p); err != nil {
					cancel(err)
					return
				}
				f.report()
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (f *fetching) report() {
	var done int64
	for _, p := range f.files {
		done += p.bytes()
	}
	f.progress(done)
}

// bring asks one holder after the other for a piece.
func (f *fetching) bring(ctx context.Context, p piece) error {
	for {
		source, err := f.sources.take(ctx)
		if err != nil {
			return err
		}
		err = f.copy(ctx, source, p)
		f.sources.done(source.Name, err)
		switch {
		case err == nil:
			return p.of.land(p.index)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, ErrOutOfSpace):
			return err
		case !errors.Is(err, ErrBusy):
			f.spool.cfg.Log.Info("range of an image not fetched", "from", source.Name, "role", string(p.of.file.Role), "range", p.index, "error", err)
		}
	}
}

// copy reads a piece from a holder into the spool. A holder that sends nothing
// for a while is given up.
func (f *fetching) copy(ctx context.Context, source Source, p piece) error {
	offset, length := p.of.bounds(p.index)
	reading, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	quiet := f.spool.cfg.Stall
	alarm := time.AfterFunc(quiet, func() { cancel(fmt.Errorf("it has sent nothing for %s", quiet)) })
	defer alarm.Stop()
	r, err := source.Read(reading, p.of.file.Role, offset, length)
	if err != nil {
		return because(reading, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	to := io.NewOffsetWriter(p.of.data, offset)
	buf := make([]byte, min(length, 256<<10))
	for left := length; left > 0; {
		n, err := r.Read(buf[:min(left, int64(len(buf)))])
		alarm.Reset(quiet)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return Full(fmt.Errorf("write spool: %w", err))
			}
			left -= int64(n)
		}
		if err != nil && left > 0 {
			return because(reading, fmt.Errorf("it ended %d bytes before the range's end: %w", left, err))
		}
	}
	return nil
}

// because prefers the reason why a context ended to the fact that it did.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// verify compares all digests, and names those who sent what is wrong.
func (f *fetching) verify() error {
	for _, p := range f.files {
		err := p.verify()
		if err == nil {
			continue
		}
		givers := f.sources.givers()
		wrong := &wrongContentError{err: fmt.Errorf("%w; it came from %s", err, strings.Join(givers, ", "))}
		if !f.resumed && len(givers) == 1 {
			wrong.by = givers[0]
		}
		return wrong
	}
	return nil
}
