package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// How an upload that breaks off is tried again: at first soon, and at the end
// not any more when for so long no further byte has arrived.
const (
	uploadRetry    = 500 * time.Millisecond
	uploadRetryMax = 8 * time.Second
	uploadPatience = time.Minute
)

// sending is an upload to one host, over as many connections as it takes.
type sending struct {
	app   *app
	node  *client.Client
	from  opener
	image fleet.Image
	host  fleet.HostID
	bar   *progress
	told  bool // that somebody else is sending it
}

// opener opens an image's content at an offset; who has read it calls closing.
type opener func(im *fleet.Image, offset int64) (content io.Reader, closing func(), err error)

// upload sends an image to a host, from where an earlier try has ended.
func (a *app) upload(ctx context.Context, node *client.Client, from opener, im fleet.Image, target fleet.Host) (fleet.Image, error) {
	u := &sending{app: a, node: node, from: from, image: im, host: target.ID}
	state, err := node.BeginUpload(ctx, u.host, im)
	if err != nil {
		return fleet.Image{}, err
	}
	if u.host = state.Host; state.HaveBytes > 0 && state.Stored == nil {
		a.note("going on after %d of %d MiB, which the host has from before", state.HaveBytes>>20, state.TotalBytes>>20)
	}
	where := target.Name
	if where == "" {
		where = "the fleet"
	}
	u.bar = a.progress("to "+where, im.Bytes)
	defer u.bar.end()
	return u.run(ctx, state)
}

func (u *sending) run(ctx context.Context, state fleet.Upload) (fleet.Image, error) {
	wait, since, had := uploadRetry, time.Now(), state.HaveBytes
	for {
		u.bar.set(state.HaveBytes)
		if state.Stored != nil {
			return *state.Stored, nil
		}
		var err error
		if state.Busy {
			u.tell()
		} else if state, err = u.send(ctx, state); err == nil {
			continue
		}
		if !passing(ctx, err) {
			return fleet.Image{}, err
		}
		if !pause.UpTo(ctx, wait) {
			return fleet.Image{}, ctx.Err()
		}
		now, asked := u.node.BeginUpload(ctx, u.host, u.image)
		if asked == nil {
			state = now
		} else if !passing(ctx, asked) {
			return fleet.Image{}, asked
		}
		if state.HaveBytes != had || state.Busy {
			wait, since, had = uploadRetry, time.Now(), state.HaveBytes
			continue
		}
		if wait = min(2*wait, uploadRetryMax); time.Since(since) > uploadPatience {
			return fleet.Image{}, fmt.Errorf("upload broke off after %d of %d bytes, and did not go on for %s; run the same command to go on: %w",
				state.HaveBytes, state.TotalBytes, uploadPatience, errors.Join(err, asked))
		}
	}
}

// tell says once why nothing is sent.
func (u *sending) tell() {
	if !u.told {
		u.app.note("somebody else is uploading this image there; waiting for them")
		u.told = true
	}
}

// send sends all that is missing.
func (u *sending) send(ctx context.Context, state fleet.Upload) (fleet.Upload, error) {
	content, closing, err := u.from(&u.image, state.HaveBytes)
	if err != nil {
		return state, err
	}
	defer closing()
	next, err := u.node.AppendUpload(ctx, u.host, u.image.ID, state.HaveBytes, u.bar.reader(content), state.TotalBytes-state.HaveBytes)
	if err != nil {
		return state, err
	}
	return next, nil
}

// passing reports whether an upload that ended so may go on.
func passing(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	switch fleet.CodeOf(err) {
	case fleet.CodeBusy, fleet.CodeConflict, fleet.CodeHostUnreachable, fleet.CodeOutcomeUnknown, fleet.CodeNotReady, fleet.CodeHypervisorUnreachable:
		return true
	default:
		return err == nil || errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrOutcomeUnknown)
	}
}

// from opens the image's content at an offset.
func (s *source) from(im *fleet.Image, offset int64) (content io.Reader, closing func(), err error) {
	var files []*os.File
	closing = func() {
		for _, file := range files {
			_ = file.Close() // it was only read
		}
	}
	var parts []io.Reader
	for _, f := range im.Files {
		skip := min(offset, f.Bytes)
		offset -= skip
		file, err := os.Open(s.paths[f.Role])
		if err != nil {
			closing()
			return nil, nil, fmt.Errorf("open %s: %w", f.Role, err)
		}
		files = append(files, file)
		info, err := file.Stat()
		if err == nil && info.Size() != f.Bytes {
			err = fmt.Errorf("%s has changed: it is %d bytes long and was %d; import it again", s.paths[f.Role], info.Size(), f.Bytes)
		}
		if err != nil {
			closing()
			return nil, nil, err
		}
		parts = append(parts, io.NewSectionReader(file, skip, f.Bytes-skip))
	}
	return io.MultiReader(parts...), closing, nil
}
