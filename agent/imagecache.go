package agent

import (
	"context"
	"slices"
	"time"

	"grapevine/agent/journal"
	"grapevine/fleet"
)

// probeWithin is how long another holder may take to show that it has an image.
const probeWithin = 5 * time.Second

// cached is an image in the cache: one that this host fetched by itself.
type cached struct {
	fleet.Image
	usedAt time.Time
}

// trimCache removes images that this host has fetched from others, those first
// that were not used for longest, until the others and need bytes more are within
// the limit. An image that is in use stays, and so does one that nobody else has;
// the limit is then exceeded.
func (a *Agent) trimCache(ctx context.Context, need int64) {
	limit := a.cfg.ImageCacheMiB << 20
	if limit == 0 {
		return
	}
	held, err := a.cachedImages()
	if err != nil {
		a.log.Error("image cache not read", "error", err)
		return
	}
	total := need
	for _, im := range held {
		total += im.Bytes
	}
	for _, im := range held {
		if total <= limit || ctx.Err() != nil {
			return
		}
		if !a.keptElsewhere(ctx, &im.Image) {
			continue
		}
		if err := a.removeImage(ctx, im.ID); err != nil {
			a.log.Debug("image stays in the cache", "image", im.ID, "error", err)
			continue
		}
		total -= im.Bytes
		a.log.Info("image removed from the cache", "image", im.ID, "name", im.Name, "bytes", im.Bytes, "last_used", im.usedAt)
	}
	if total > limit {
		a.log.Info("images in use, or held by nobody else, exceed the cache's limit", "bytes", total, "limit_bytes", limit)
	}
}

// cachedImages returns the images of the cache, the one first that was not used
// for longest.
func (a *Agent) cachedImages() ([]cached, error) {
	noted, err := a.journal.CachedImages()
	if err != nil {
		return nil, err
	}
	var out []cached
	for _, n := range noted {
		if im, err := a.image(n.ID); err == nil {
			out = append(out, cached{im, n.UsedAt})
		}
	}
	slices.SortFunc(out, func(x, y cached) int { return x.usedAt.Compare(y.usedAt) })
	return out, nil
}

// keptElsewhere reports whether a holder shows that it has the image which will
// not remove it for knowing of this one: of all holders the one with the lowest
// id removes nothing by itself.
func (a *Agent) keptElsewhere(ctx context.Context, im *fleet.Image) bool {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	for _, host := range a.ImageSources(im.ID) {
		if host.Compare(a.hostID) > 0 {
			return false // they are in order
		}
		r, err := a.reading(host, im.ID)(ctx, im.Files[0].Role, 0, 1)
		if err == nil {
			return r.Close() == nil
		}
	}
	return false
}

// noteFetched begins to count an image as one of the cache.
func (a *Agent) noteFetched(id string) {
	if err := a.journal.CacheImage(journal.CachedImage{ID: id, UsedAt: time.Now()}); err != nil {
		a.log.Error("fetched image not noted, it will not be removed by itself", "image", id, "error", err)
	}
}

// noteUsed counts a build as a use of its image.
func (a *Agent) noteUsed(id string) {
	if err := a.journal.TouchImage(id, time.Now()); err != nil {
		a.log.Error("use of an image not noted", "image", id, "error", err)
	}
}
