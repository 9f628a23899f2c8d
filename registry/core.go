package registry

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/grants/ask"
	"grapevine/identity"
	"grapevine/internal/rungroup"
	"grapevine/placement"
	"grapevine/view"
)

// core is the API of the whole fleet: reads from the view, writes by asking
// the agents that own what is written. It keeps nothing between two requests.
type core struct {
	*view.View
	// timeout bounds each call to an agent but uploads.
	timeout time.Duration
	// ready returns why this registry cannot answer for the fleet yet. Until
	// it can, it may not know the home of a key, and what it has not heard of
	// may still be there.
	ready func() error
	// uniqueNames are the projects that have each name once; see AllProjects.
	uniqueNames []string
	identity    *identity.Identity
	asker       *ask.Asker
	keeper      *ask.Keeper
	leave       func(context.Context) error // says good bye to the mesh
	left        *rungroup.Exit              // told when an operator made the registry leave
	quotas      *quotas                     // nil without a users file
	alike       *alike                      // nil where nothing is compared
	log         *slog.Logger
	metrics     *metrics
}

var _ api.Core = (*core)(nil)

// ActInstance implements api.Core: the instance's host does it.
func (c *core) ActInstance(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts api.ActOptions) (fleet.Accepted, error) {
	act := func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.ActInstance(ctx, id, action, client.ActOptions{Force: opts.Force})
	}
	if action == fleet.Adopt {
		return c.adopt(ctx, id, act)
	}
	return c.atOwner(ctx, id, act)
}

// DeleteInstance implements api.Core: the instance's host does it.
func (c *core) DeleteInstance(ctx context.Context, id fleet.InstanceID) (fleet.Accepted, error) {
	accepted, err := c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.DeleteInstance(ctx, id, 0)
	})
	return accepted, orWhenBack(err)
}

// ResizeInstance implements api.Core: the instance's host is asked for the
// numbers that the flavor stands for here.
func (c *core) ResizeInstance(ctx context.Context, id fleet.InstanceID, flavor string) (fleet.Accepted, error) {
	size, err := c.Flavor(flavor)
	if err != nil {
		return fleet.Accepted{}, err
	}
	row, err := c.Instance(ctx, id)
	if err != nil {
		return fleet.Accepted{}, cmp.Or(c.notReady(), err)
	}
	more, err := c.grown(ctx, &row, size.Resources)
	if err != nil {
		return fleet.Accepted{}, err
	}
	return c.within(row.Project, more, func() (fleet.Accepted, error) {
		return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
			return peer.SetSize(ctx, id, fleet.Size{Flavor: size.Name, Resources: size.Resources})
		})
	})
}

// RescueInstance implements api.Core: the instance's host does it, with the
// image that a name means here.
func (c *core) RescueInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rescue, key string) (fleet.Accepted, error) {
	if err := c.NameImage(&ask.Image); err != nil {
		return fleet.Accepted{}, err
	}
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.RescueInstance(ctx, id, ask, client.KeyedOptions{Key: key})
	})
}

// UnrescueInstance implements api.Core: the instance's host does it.
func (c *core) UnrescueInstance(ctx context.Context, id fleet.InstanceID, key string) (fleet.Accepted, error) {
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.UnrescueInstance(ctx, id, client.KeyedOptions{Key: key})
	})
}

// RebuildInstance implements api.Core: the instance's host does it, with the
// image that a name means here.
func (c *core) RebuildInstance(ctx context.Context, id fleet.InstanceID, ask fleet.Rebuild, key string) (fleet.Accepted, error) {
	if err := c.NameImage(&ask.Image); err != nil {
		return fleet.Accepted{}, err
	}
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.RebuildInstance(ctx, id, ask, client.KeyedOptions{Key: key})
	})
}

// ChangeSnapshot implements api.Core: the instance's host does it.
func (c *core) ChangeSnapshot(ctx context.Context, id fleet.InstanceID, change fleet.SnapshotChange) (fleet.Accepted, error) {
	return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
		return peer.ChangeSnapshot(ctx, id, change, 0)
	})
}

// ChangeDevice implements api.Core: the instance's host does it, with the image
// that a name means here.
func (c *core) ChangeDevice(ctx context.Context, id fleet.InstanceID, change fleet.DeviceChange) (fleet.Accepted, error) {
	if err := c.NameImage(&change.Device.Image); err != nil {
		return fleet.Accepted{}, err
	}
	row, err := c.Instance(ctx, id)
	if err != nil {
		return fleet.Accepted{}, cmp.Or(c.notReady(), err)
	}
	more, err := c.moreDisk(ctx, &row, &change)
	if err != nil {
		return fleet.Accepted{}, err
	}
	return c.within(row.Project, more, func() (fleet.Accepted, error) {
		return c.atOwner(ctx, id, func(ctx context.Context, peer *client.Client) (fleet.Accepted, error) {
			return peer.ChangeDevice(ctx, id, change, 0)
		})
	})
}

// atOwner calls the agent of the host that owns the instance. A host that
// cannot be heard is an error at once: nothing is queued for later.
func (c *core) atOwner(ctx context.Context, id fleet.InstanceID, call func(context.Context, *client.Client) (fleet.Accepted, error)) (fleet.Accepted, error) {
	row, err := c.Instance(ctx, id)
	if err != nil {
		return fleet.Accepted{}, cmp.Or(c.notReady(), err)
	}
	peer, err := c.Peer(row.Host)
	if err != nil {
		return fleet.Accepted{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	accepted, err := call(ctx, peer)
	if err != nil {
		return fleet.Accepted{}, mutationError(row.HostName, id, err)
	}
	return accepted, nil
}

// notReady returns the error of what cannot be known yet, nil once ready.
func (c *core) notReady() error {
	if err := c.ready(); err != nil {
		return &fleet.Error{Code: fleet.CodeNotReady, Detail: fmt.Sprintf("this registry has just started and does not know the whole fleet yet: %v; try again in a moment", err)}
	}
	return nil
}

// ActHost implements api.Core: the host's own agent does it.
func (c *core) ActHost(ctx context.Context, id fleet.HostID, action fleet.HostAction) (fleet.Host, error) {
	peer, err := c.Peer(id)
	if err != nil {
		return fleet.Host{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	host, err := peer.ActHost(ctx, id, action)
	if err != nil {
		return fleet.Host{}, mutationError(c.HostName(id), fleet.InstanceID{}, err)
	}
	return host, nil
}

// ImportImage implements api.Core: it passes the content through to the host,
// or, with the zero id, to the host with most free disk among those that can
// boot the image. It takes as long as the upload.
func (c *core) ImportImage(ctx context.Context, host fleet.HostID, im fleet.Image, content io.Reader) (fleet.Image, error) {
	if err := im.Validate(); err != nil {
		return fleet.Image{}, err
	}
	if host.IsZero() {
		var err error
		if host, err = c.roomiest(ctx, &im); err != nil {
			return fleet.Image{}, err
		}
	}
	peer, err := c.Peer(host)
	if err != nil {
		return fleet.Image{}, err
	}
	stored, err := peer.ImportContent(ctx, host, im, content)
	if err != nil {
		return fleet.Image{}, mutationError(c.HostName(host), fleet.InstanceID{}, err)
	}
	return stored, nil
}

// roomiest returns the host to store an image at.
func (c *core) roomiest(ctx context.Context, im *fleet.Image) (fleet.HostID, error) {
	hosts, err := c.roomy(ctx, im)
	if err != nil {
		return fleet.HostID{}, err
	}
	return hosts[0].ID, nil
}

// roomy returns the hosts that could store an image and boot it, those with most
// free disk first.
func (c *core) roomy(ctx context.Context, im *fleet.Image) ([]fleet.Host, error) {
	hosts, err := c.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	boots := &fleet.Request{Traits: []string{view.BootTrait(im)}}
	var able []fleet.Host
	for i := range hosts.Items {
		if len(placement.Judge(&hosts.Items[i], boots)) == 0 {
			able = append(able, hosts.Items[i])
		}
	}
	if len(able) == 0 {
		return nil, refusal("no host can take image "+im.Name, placement.Explain(hosts.Items, boots, fleet.Spread))
	}
	slices.SortStableFunc(able, func(a, b fleet.Host) int {
		return cmp.Compare(b.Capacity.DiskGiB.Free, a.Capacity.DiskGiB.Free)
	})
	return able, nil
}

// newInstanceID draws the id of an instance that no key asks for.
func newInstanceID() fleet.InstanceID {
	var random [16]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
	return fleet.NewUUIDv4(random)
}
