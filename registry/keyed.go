package registry

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"grapevine/fleet"
)

// A keyed create makes at most one machine, however often and at however many
// registries it is sent, and whichever of them die on the way. The rules:
//
//  1. The key's home, or where a witness set is pinned a majority of the witnesses,
//     keeps one record: the host that may have the instance, and an attempt that
//     rises with every change, by compare-and-set.
//  2. Each attempt has one driver: the request that stored it. Only it proposes
//     under that attempt. A request that finds a record of somebody else's
//     first takes it over, by storing the same host under the next attempt.
//  3. The driver moves the record to another host only when the first host can
//     have no claim and will get none: it has durably refused (it then refuses
//     every earlier attempt too, should one still be under way); or the driver
//     itself gave the record to that host and its proposal was surely not sent
//     (nobody else proposed: they would have had to take the record over, and
//     the compare-and-set would fail); or an operator gave the host up, by a
//     decision that covers the version heard of it: its agent comes back in
//     quarantine, where it promises nothing, and under a later epoch.
//  4. In every other case the record stays, and a later request with the same
//     key goes on from it.

// keyed places an instance whose id belongs to an Idempotency-Key.
func (p *placing) keyed(ctx context.Context) (fleet.Accepted, error) {
	decider, ok, err := p.core.deciderOf(p.req.ID, p.req.ID)
	switch {
	case err != nil:
		return fleet.Accepted{}, err
	case !ok:
		return fleet.Accepted{}, p.nothingFits()
	}
	home := &keyHome{placing: p, decider: decider}
	if err := home.open(ctx); err != nil {
		return fleet.Accepted{}, err
	}
	for range maxAttempts {
		if err := home.drive(ctx); err != nil {
			return fleet.Accepted{}, err
		}
		accepted, err := p.propose(ctx, home.record.Host, home.record.Attempt)
		switch {
		case err == nil:
			return accepted, nil
		case isRefused(err), isNotSent(err) && (home.fresh || p.givenUp(home.record.Host)):
			if err := home.move(ctx, err); err != nil {
				return fleet.Accepted{}, err
			}
		case isNotSent(err):
			return fleet.Accepted{}, p.heldByUnreachable(home.record.Host, err)
		default:
			return fleet.Accepted{}, err
		}
	}
	return fleet.Accepted{}, p.nothingFits()
}

// givenUp reports whether an operator declared a host dead or had it forgotten.
func (p *placing) givenUp(host fleet.HostID) bool {
	_, given := p.core.Given(host)
	return given
}

// keyHome is who decides about the request's key, as this request knows it.
type keyHome struct {
	*placing
	decider
	record fleet.KeyRecord // what the home holds
	// drives is whether this request stored the record, fresh whether it then
	// gave the instance to a host that had not had it before.
	drives, fresh bool
}

// open stores the first record, or finds the one that is there. When no host
// fits, an earlier record is still the answer to the key.
func (h *keyHome) open(ctx context.Context) error {
	host, ok, err := h.next(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return h.find(ctx)
	}
	err = h.store(ctx, host)
	h.fresh = h.drives
	return err
}

// drive returns when this request is the driver of the record, taking it over
// if it is somebody else's. Requests that take one record over from each other
// all lose, so who has lost once leaves the others some time.
func (h *keyHome) drive(ctx context.Context) error {
	for lost := 0; ; lost++ {
		if h.record.RequestHash != h.hash {
			return h.keyReused()
		}
		if h.drives {
			return nil
		}
		if lost > 0 {
			if err := h.yield(ctx, lost); err != nil {
				return err
			}
		}
		if err := h.store(ctx, h.record.Host); err != nil {
			return err
		}
		h.fresh = false
	}
}

// The pauses of those who lose a record: at random up to 20 ms, and twice as
// long each time, so that the last of eight is up to 2.5 s.
const (
	firstPause = 20 * time.Millisecond
	maxLost    = 8
)

// yield pauses, and looks again at what the home holds.
func (h *keyHome) yield(ctx context.Context, lost int) error {
	if lost > maxLost {
		return &fleet.Error{
			Code: fleet.CodeBusy, Instance: h.req.ID,
			Detail: "other requests with this Idempotency-Key are under way; wait for one of them, or send it again",
		}
	}
	pause := time.NewTimer(rand.N(firstPause << (lost - 1)))
	defer pause.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-pause.C:
	}
	return h.find(ctx)
}

// find reads the record; without one, nothing fits.
func (h *keyHome) find(ctx context.Context) error {
	record, err := h.heldOf(ctx, h.req.ID)
	switch {
	case err != nil:
		return err
	case record.Attempt == 0:
		return h.nothingFits()
	}
	h.record = record
	return nil
}

// store gives the instance to host under the next attempt, if the record is
// still as this request knows it, and takes over what the home then holds.
func (h *keyHome) store(ctx context.Context, host fleet.HostID) error {
	answer, err := h.swap(ctx, h.req.ID, h.record.Attempt, fleet.KeyRecord{Instance: h.req.ID, RequestHash: h.hash, Host: host})
	if fleet.CodeOf(err) == fleet.CodeNotFound {
		return &fleet.Error{Code: fleet.CodeConflict, Instance: h.req.ID, Detail: "the record of this Idempotency-Key expired just now; send the request again"}
	}
	if err != nil {
		return err
	}
	h.record, h.drives = answer.Record, answer.Stored
	return nil
}

// move passes over the record's host and gives the instance to the next one
// that fits.
func (h *keyHome) move(ctx context.Context, why error) error {
	h.pass(ctx, h.record.Host, why)
	next, moved := movedTo(why)
	if !moved {
		host, ok, err := h.next(ctx)
		switch {
		case err != nil:
			return err
		case !ok:
			return h.nothingFits()
		}
		next = host
	}
	err := h.store(ctx, next)
	h.fresh = h.drives && !moved // a host that has the instance may not be passed over
	return err
}

// keyReused is the error of a key that was used with another body.
func (p *placing) keyReused() error {
	return &fleet.Error{
		Code: fleet.CodeKeyReused, Instance: p.req.ID,
		Detail: fmt.Sprintf("this Idempotency-Key was used with another body, for instance %s; use another key for another request", p.req.ID),
	}
}

// heldByUnreachable is the error of a key whose instance was given to a host
// that cannot be asked now and may have promised it before.
func (p *placing) heldByUnreachable(host fleet.HostID, err error) error {
	return &fleet.Error{
		Code: fleet.CodeHostUnreachable, Instance: p.req.ID,
		Detail: fmt.Sprintf("an earlier request with this Idempotency-Key gave instance %s to host %s, which cannot be asked now; send it again when the host is back, or use another key (%v)", p.req.ID, p.core.HostName(host), err),
	}
}
