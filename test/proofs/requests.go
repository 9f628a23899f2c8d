package proofs

import (
	"context"
	"fmt"
	"slices"

	"grapevine/api/client"
	"grapevine/fleet"
)

// registry returns a registry that is up, nil if none is.
func (h *History) registry() *client.Client {
	up := slices.DeleteFunc(slices.Clone(h.Registries), func(r *Registry) bool { return !r.Up() })
	if len(up) == 0 {
		return nil
	}
	return up[h.rng.IntN(len(up))].Client
}

// operate sends one request, and does not wait for it.
func (h *History) operate() {
	at := h.registry()
	if at == nil {
		return
	}
	if h.lives && h.rng.IntN(25) == 0 {
		h.operateHosts(at)
		return
	}
	alive := func(f *fate) bool { return f.accepted && !f.deleting }
	switch n := h.rng.IntN(192); {
	case n < 55:
		f := h.newFate()
		h.create(at, f)
		if h.rng.IntN(3) == 0 { // a client that asks twice at once
			h.create(h.registry(), f)
		}
	case n < 70: // again, perhaps while it is under way, perhaps elsewhere
		if f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return !f.accepted && !f.deleting }); f != nil {
			h.create(at, f)
		}
	case n < 110:
		if f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return f.accepted && !f.deleted }); f != nil {
			h.delete(at, f)
		}
	case n < 150:
		if f := h.oracle.pick(h.rng.IntN, alive); f != nil {
			h.act(at, f, []fleet.InstanceAction{fleet.Start, fleet.Stop, fleet.Reboot}[h.rng.IntN(3)])
		}
	case n < 165:
		h.move(at)
	case n < 172:
		if f := h.oracle.pick(h.rng.IntN, alive); f != nil {
			h.resize(at, f, []string{"nano", "tiny"}[h.rng.IntN(2)])
		}
	case n < 178:
		if f := h.oracle.pick(h.rng.IntN, alive); f != nil {
			h.snapshot(at, f, []fleet.SnapshotVerb{fleet.TakeSnapshot, fleet.DeleteSnapshot}[h.rng.IntN(2)])
		}
	default:
		h.byHand()
	}
}

// operateHosts asks for something that does not concern instances alone, as a
// life does, and no history that looks at instances of its own.
func (h *History) operateHosts(at *client.Client) {
	switch h.rng.IntN(3) {
	case 0:
		h.renewGroup(at)
	case 1:
		h.drain(at)
	default:
		h.define()
	}
}

// uniqueNames are what instances whose names are to be unique are called.
var uniqueNames = []string{"db", "mail", "proxy", "web"}

// newFate is an instance that nobody has asked for yet: an ordinary one, one of
// a group, or one whose name is to be unique.
func (h *History) newFate() *fate {
	h.named++
	key := fmt.Sprint("key-", h.named)
	f := &fate{
		id: fleet.KeyedInstanceID(fleet.DefaultProject, key), key: key,
		ask: fleet.Create{Name: fmt.Sprint("vm-", h.named), Flavor: "nano", Image: "tiny"},
	}
	if !h.lives {
		return f
	}
	switch h.rng.IntN(8) {
	case 0:
		f.ask.Name, f.ask.UniqueName = uniqueNames[h.rng.IntN(len(uniqueNames))], true
	case 1:
		f.ask.Group = h.oracle.group(h.rng.IntN)
	case 2:
		if h.rng.IntN(3) == 0 {
			return h.newLot(f)
		}
	case 3: // several of one group at once
		if h.rng.IntN(3) == 0 {
			f.ask.Group = h.oracle.group(h.rng.IntN)
			return h.newLot(f)
		}
	}
	return f
}

// send does one request in the background.
func (h *History) send(f *fate, before func(*fate), do func(ctx context.Context)) {
	h.oracle.asks(f, before)
	h.request(do)
}

// request does a request of no instance, or of one of which it is noted.
func (h *History) request(do func(ctx context.Context)) {
	h.sent++
	h.ops.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		do(ctx)
	})
}

func (h *History) create(at *client.Client, f *fate) {
	if f.lot != nil {
		h.createLot(at, f.lot)
		return
	}
	h.send(f, nil, func(ctx context.Context) {
		_, err := at.CreateInstance(ctx, f.ask, client.CreateOptions{Key: f.key})
		h.oracle.told(f, "create"+f.kind(), err, f.created(err))
	})
}

// kind tells, of creates, those that want something more.
func (f *fate) kind() string {
	switch {
	case f.ask.UniqueName:
		return " of a unique name"
	case f.ask.Group != "":
		return " in a group"
	default:
		return ""
	}
}

// created is what is noted of the answer to a create.
func (*fate) created(err error) func(*fate) {
	return func(f *fate) {
		f.accepted = f.accepted || err == nil
		f.doubted = f.doubted || err != nil && !surely(err)
	}
}

func (h *History) delete(at *client.Client, f *fate) {
	h.send(f, func(f *fate) { f.deleting = true }, func(ctx context.Context) {
		_, err := at.DeleteInstance(ctx, f.id, 0)
		h.oracle.told(f, "delete", err, func(f *fate) { f.deleted = f.deleted || err == nil })
	})
}

func (h *History) act(at *client.Client, f *fate, action fleet.InstanceAction) {
	h.send(f, func(f *fate) { f.stopped = f.stopped && action == fleet.Stop }, func(ctx context.Context) {
		_, err := at.ActInstance(ctx, f.id, action, client.ActOptions{})
		h.oracle.told(f, string(action), err, func(*fate) {})
	})
}

func (h *History) resize(at *client.Client, f *fate, flavor string) {
	h.send(f, nil, func(ctx context.Context) {
		_, err := at.ResizeInstance(ctx, f.id, flavor, 0)
		h.oracle.told(f, "resize", err, func(*fate) {})
	})
}

// snapshot takes the one snapshot that an instance has, or deletes it.
func (h *History) snapshot(at *client.Client, f *fate, verb fleet.SnapshotVerb) {
	h.send(f, nil, func(ctx context.Context) {
		_, err := at.ChangeSnapshot(ctx, f.id, fleet.SnapshotChange{Verb: verb, Name: "clean"}, 0)
		h.oracle.told(f, string(verb)+" snapshot", err, func(*fate) {})
	})
}

// move sends a stopped instance to another host, mostly to any.
func (h *History) move(at *client.Client) {
	stopped := map[fleet.InstanceID]bool{}
	for _, s := range h.look() {
		stopped[s.ID] = s.Power == fleet.PowerStopped && s.Mark != nil && s.Mark.Group.IsZero()
	}
	f := h.oracle.pick(h.rng.IntN, func(f *fate) bool { return f.accepted && !f.deleting && stopped[f.id] })
	if f == nil {
		return
	}
	ask := fleet.Migrate{}
	if h.rng.IntN(4) == 0 {
		ask.Host = h.Hosts[h.rng.IntN(len(h.Hosts))].Name
	}
	h.send(f, func(f *fate) { f.moved = true }, func(ctx context.Context) {
		_, err := at.MigrateInstance(ctx, f.id, ask, client.KeyedOptions{})
		h.oracle.told(f, "migrate", err, func(*fate) {})
	})
}

// wordFor is what an answer is counted under.
func wordFor(word string, err error) string {
	switch code := fleet.CodeOf(err); {
	case err == nil:
		return word
	case code == "":
		return "no answer"
	default:
		return string(code)
	}
}
