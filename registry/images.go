package registry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"grapevine/fleet"
	"grapevine/internal/atonce"
)

// ImportURL implements api.Core: the host, or with the zero id one that is chosen
// as for an upload, downloads it.
func (c *core) ImportURL(ctx context.Context, host fleet.HostID, req fleet.ImportURL) (fleet.Operation, error) {
	if host.IsZero() {
		var err error
		disk := fleet.Image{Name: req.Name, Files: []fleet.ImageFile{{Role: fleet.RoleDisk}}}
		if host, err = c.roomiest(ctx, &disk); err != nil {
			return fleet.Operation{}, err
		}
	}
	peer, err := c.Peer(host)
	if err != nil {
		return fleet.Operation{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	op, err := peer.ImportURL(ctx, host, req)
	if err != nil {
		return fleet.Operation{}, mutationError(c.HostName(host), fleet.InstanceID{}, err)
	}
	return op, nil
}

// DeleteImage implements api.Core: its holders do it, each for itself, many at
// the same time. One that cannot be asked keeps it.
func (c *core) DeleteImage(ctx context.Context, id string, host fleet.HostID) (fleet.ImageDeletion, error) {
	if !host.IsZero() {
		return c.deleteImageAt(ctx, id, host)
	}
	im, err := c.Image(ctx, id)
	if err != nil {
		return fleet.ImageDeletion{}, cmp.Or(c.notReady(), err)
	}
	out := fleet.ImageDeletion{Image: id}
	var mu sync.Mutex
	atonce.Each(len(im.Hosts), fleet.MaxAskedAtOnce, func(i int) {
		holder := im.Hosts[i]
		_, err := c.deleteImageAt(ctx, id, holder)
		mu.Lock()
		defer mu.Unlock()
		if err == nil || fleet.CodeOf(err) == fleet.CodeNotFound { // it was gone already
			out.Removed = append(out.Removed, holder)
		} else {
			out.Kept = append(out.Kept, c.kept(holder, err))
		}
	})
	slices.SortFunc(out.Removed, fleet.UUID.Compare)
	slices.SortFunc(out.Kept, func(a, b fleet.ImageKept) int {
		return cmp.Or(cmp.Compare(a.HostName, b.HostName), a.Host.Compare(b.Host))
	})
	return out, nil
}

func (c *core) deleteImageAt(ctx context.Context, id string, host fleet.HostID) (fleet.ImageDeletion, error) {
	peer, err := c.Peer(host)
	if err != nil {
		return fleet.ImageDeletion{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	done, err := peer.DeleteImage(ctx, id, host)
	if err != nil {
		return fleet.ImageDeletion{}, mutationError(c.HostName(host), fleet.InstanceID{}, err)
	}
	return done, nil
}

// kept says in the words of the answer why a holder keeps an image.
func (c *core) kept(host fleet.HostID, err error) fleet.ImageKept {
	out := fleet.ImageKept{Host: host, HostName: c.HostName(host), Code: fleet.CodeInternal, Detail: err.Error()}
	if e, ok := errors.AsType[*fleet.Error](err); ok {
		out.Code = e.Code
	}
	return out
}
