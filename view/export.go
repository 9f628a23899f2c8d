package view

import (
	"context"
	"errors"
	"io"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// Export returns what the host of an instance has prepared of it.
func (v *View) Export(ctx context.Context, id fleet.InstanceID) (fleet.PreparedExport, error) {
	return askOwner(ctx, v, id, Local.Export)
}

// ReadExport reads a part of the file of an export at the instance's host. The
// caller closes it; ctx ends it.
func (v *View) ReadExport(ctx context.Context, id fleet.InstanceID, part fleet.ExportRange) (io.ReadCloser, error) {
	row, err := v.Instance(ctx, id)
	if err != nil {
		return nil, err
	}
	content, _, err := v.open(ctx, row.Host, func(ctx context.Context, at Local) (io.ReadCloser, error) { return at.ReadExport(ctx, id, part) })
	if err != nil {
		return nil, err
	}
	return content, nil
}

// open begins to read something at a host, which has AnswerWithin to begin with
// it. Reading is the context under which a remote one is read, nil of a local one.
func (v *View) open(ctx context.Context, host fleet.HostID, begin func(context.Context, Local) (io.ReadCloser, error)) (content *remote, reading context.Context, err error) {
	if v.isLocal(host) {
		opened, err := begin(ctx, v.cfg.Local)
		return &remote{opened, func() {}}, nil, err
	}
	peer, err := v.Peer(host)
	if err != nil {
		return nil, nil, err
	}
	reading, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(v.cfg.AnswerWithin, cancel)
	opened, err := begin(reading, peer)
	if !late.Stop() && err == nil {
		err = errors.Join(client.ErrOutcomeUnknown, opened.Close())
	}
	if err != nil {
		cancel()
		return nil, nil, v.ReadError(host, err)
	}
	return &remote{opened, cancel}, reading, nil
}

// remote is something on its way from its host.
type remote struct {
	io.ReadCloser
	cancel context.CancelFunc
}

// Close implements io.Closer.
func (r *remote) Close() error {
	defer r.cancel()
	return r.ReadCloser.Close()
}
