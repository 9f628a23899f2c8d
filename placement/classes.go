package placement

import (
	"slices"

	"grapevine/fleet"
)

// class is the open hosts of one kind, which no filter tells apart.
type class struct {
	key  string
	kind kind
}

// classes are the classes there are, who is in them, and which of them each
// filter lets through: a request's classes are the intersection of a few
// bitmaps, of a word for each 64 classes.
type classes struct {
	roster
	list  []class // by number; those with no members wait in spare
	spare []int32
	byKey map[string]int32

	live                                 bitmap // the classes with members
	zones, hypervisors, traits, networks sets   // the classes, of the live ones, with this zone, hypervisor, trait, network
}

func newClasses() classes {
	return classes{byKey: map[string]int32{}, zones: sets{}, hypervisors: sets{}, traits: sets{}, networks: sets{}}
}

// enter makes an open host a member of its class, which is made if need be.
func (t *classes) enter(slot int32, k kind, m room) {
	key := k.key()
	number, ok := t.byKey[key]
	if !ok {
		number = t.make(key, k)
	}
	t.add(number, slot, m)
}

// leave ends a host's membership, and the class with its last member.
func (t *classes) leave(slot int32) {
	number := t.seats[slot].class
	t.remove(slot)
	if len(t.rooms[number]) == 0 {
		t.end(number)
	}
}

func (t *classes) make(key string, k kind) int32 {
	if len(t.spare) == 0 {
		t.spare = append(t.spare, int32(len(t.list)))
		t.list = append(t.list, class{})
		t.grow()
	}
	number := t.spare[len(t.spare)-1]
	t.spare = t.spare[:len(t.spare)-1]
	t.list[number] = class{key: key, kind: k}
	t.byKey[key] = number
	t.live.add(number)
	t.zones.add(k.zone, number)
	t.hypervisors.add(string(k.hypervisor), number)
	for _, trait := range k.traits {
		t.traits.add(trait, number)
	}
	for _, network := range k.networks {
		t.networks.add(network, number)
	}
	return number
}

func (t *classes) end(number int32) {
	c := &t.list[number]
	delete(t.byKey, c.key)
	t.live.remove(number)
	t.zones.remove(c.kind.zone, number)
	t.hypervisors.remove(string(c.kind.hypervisor), number)
	for _, trait := range c.kind.traits {
		t.traits.remove(trait, number)
	}
	for _, network := range c.kind.networks {
		t.networks.remove(network, number)
	}
	t.spare = append(t.spare, number)
}

// filters appends to buf the bitmaps whose intersection is the classes that
// the request's filters let through. It reports false where one is empty.
func (t *classes) filters(req *fleet.Request, buf []*bitmap) ([]*bitmap, bool) {
	buf = append(buf, &t.live)
	if req.Zone != "" {
		buf = append(buf, t.zones[req.Zone])
	}
	if req.Hypervisor != "" {
		buf = append(buf, t.hypervisors[string(req.Hypervisor)])
	}
	for _, trait := range req.Traits {
		buf = append(buf, t.traits[trait])
	}
	for _, nic := range req.Networks {
		if nic.Network != fleet.NoNetwork {
			buf = append(buf, t.networks[nic.Network])
		}
	}
	return buf, !slices.Contains(buf, nil)
}
