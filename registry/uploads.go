package registry

import (
	"context"
	"io"
	"sync"

	"grapevine/api/client"
	"grapevine/fleet"
)

// askedForParts is how many hosts, the roomiest ones, are asked whether they
// have a part of an image before its upload begins at one of them. A registry
// keeps nothing, and the roomiest of two tries need not be the same.
const askedForParts = 8

// BeginUpload implements api.Uploader.
func (c *core) BeginUpload(ctx context.Context, host fleet.HostID, im fleet.Image) (fleet.Upload, error) {
	if err := im.Validate(); err != nil {
		return fleet.Upload{}, err
	}
	if host.IsZero() {
		var err error
		if host, err = c.uploadHost(ctx, &im); err != nil {
			return fleet.Upload{}, err
		}
	}
	return c.atUpload(ctx, host, func(ctx context.Context, peer *client.Client) (fleet.Upload, error) {
		return peer.BeginUpload(ctx, host, im)
	})
}

// uploadHost returns the host to upload to: of the roomiest the one that has most
// of the image already, else the first of them.
func (c *core) uploadHost(ctx context.Context, im *fleet.Image) (fleet.HostID, error) {
	hosts, err := c.roomy(ctx, im)
	if err != nil {
		return fleet.HostID{}, err
	}
	have := make([]int64, min(len(hosts), askedForParts))
	var askers sync.WaitGroup
	for i := range have {
		askers.Go(func() {
			if part, err := c.Upload(ctx, hosts[i].ID, im.ID); err == nil { // else it has nothing to go on with
				have[i] = part.HaveBytes
			}
		})
	}
	askers.Wait()
	best := 0
	for i := range have {
		if have[i] > have[best] {
			best = i
		}
	}
	return hosts[best].ID, nil
}

// Upload implements api.Uploader.
func (c *core) Upload(ctx context.Context, host fleet.HostID, id string) (fleet.Upload, error) {
	if err := needHost(host); err != nil {
		return fleet.Upload{}, err
	}
	return c.atUpload(ctx, host, func(ctx context.Context, peer *client.Client) (fleet.Upload, error) {
		return peer.Upload(ctx, host, id)
	})
}

// needHost refuses what names no host where only one knows.
func needHost(host fleet.HostID) error {
	if host.IsZero() {
		return &fleet.Error{Code: fleet.CodeInvalid, Detail: "a registry keeps no uploads; give the host that the beginning of this one answered with"}
	}
	return nil
}

// atUpload calls the agent of the host that keeps an upload.
func (c *core) atUpload(ctx context.Context, host fleet.HostID, call func(context.Context, *client.Client) (fleet.Upload, error)) (fleet.Upload, error) {
	peer, err := c.Peer(host)
	if err != nil {
		return fleet.Upload{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	state, err := call(ctx, peer)
	if err != nil {
		return fleet.Upload{}, mutationError(c.HostName(host), fleet.InstanceID{}, err)
	}
	return state, nil
}

// AppendUpload implements api.Uploader: it passes the content through to the
// host. It takes as long as the upload.
func (c *core) AppendUpload(ctx context.Context, host fleet.HostID, id string, offset int64, content io.Reader) (fleet.Upload, error) {
	if err := needHost(host); err != nil {
		return fleet.Upload{}, err
	}
	peer, err := c.Peer(host)
	if err != nil {
		return fleet.Upload{}, err
	}
	const unknown = -1
	state, err := peer.AppendUpload(ctx, host, id, offset, content, unknown)
	if err != nil {
		return fleet.Upload{}, mutationError(c.HostName(host), fleet.InstanceID{}, err)
	}
	return state, nil
}
