package view

import (
	"maps"
	"slices"

	"grapevine/fleet"
	"grapevine/mesh/replica"
)

// catalog is which hosts hold which images. An image's metadata never changes
// at a holder, so a block whose list of ids is as before costs a comparison.
type catalog struct {
	ids     map[fleet.HostID][]string               // as in the host's row
	holders map[string]map[fleet.HostID]fleet.Image // by image id
	named   map[string]map[string]int               // holders by name and image id
}

func newCatalog() catalog {
	return catalog{ids: map[fleet.HostID][]string{}, holders: map[string]map[fleet.HostID]fleet.Image{}, named: map[string]map[string]int{}}
}

// takeIn updates the catalog for a host's new block.
func (c *catalog) takeIn(b *replica.Block) {
	host, _ := b.Host()
	before := c.ids[b.HostID()]
	if slices.Equal(before, host.Images) {
		return
	}
	c.drop(b.HostID())
	for im := range b.Images() {
		c.add(b.HostID(), im)
	}
	c.ids[b.HostID()] = host.Images
}

// drop takes all that a host holds out of the catalog.
func (c *catalog) drop(host fleet.HostID) {
	for _, id := range c.ids[host] {
		c.remove(host, id)
	}
	delete(c.ids, host)
}

func (c *catalog) add(host fleet.HostID, im fleet.Image) {
	if c.holders[im.ID] == nil {
		c.holders[im.ID] = map[fleet.HostID]fleet.Image{}
	}
	c.holders[im.ID][host] = im
	if c.named[im.Name] == nil {
		c.named[im.Name] = map[string]int{}
	}
	c.named[im.Name][im.ID]++
}

func (c *catalog) remove(host fleet.HostID, id string) {
	im, held := c.holders[id][host]
	if !held {
		return
	}
	delete(c.holders[id], host)
	if len(c.holders[id]) == 0 {
		delete(c.holders, id)
	}
	c.named[im.Name][id]--
	if c.named[im.Name][id] == 0 {
		delete(c.named[im.Name], id)
	}
	if len(c.named[im.Name]) == 0 {
		delete(c.named, im.Name)
	}
}

// get returns the image with its holders, in the order of their ids. Holders
// may have taken it in under different names: the one that has had it longest
// counts, and among those the one with the lowest id, so that all nodes agree.
func (c *catalog) get(id string) (fleet.Image, bool) {
	holders := c.holders[id]
	if len(holders) == 0 {
		return fleet.Image{}, false
	}
	hosts := slices.SortedFunc(maps.Keys(holders), fleet.UUID.Compare)
	first := holders[hosts[0]]
	for _, host := range hosts[1:] {
		if im := holders[host]; im.CreatedAt.Before(first.CreatedAt) {
			first = im
		}
	}
	first.Hosts, first.Stored = hosts, nil // what one holder stores is its own affair
	return first, true
}

// withName returns the ids of the images that some holder has under this name,
// in order.
func (c *catalog) withName(name string) []string {
	return slices.Sorted(maps.Keys(c.named[name]))
}
