package enrol

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// errNotLetIn is the one answer to every token that does not open the door, so
// that nobody learns which part was wrong.
var errNotLetIn = refused(fleet.CodeUnauthenticated, "the join token is not one of this node's: it was used, has expired, was revoked, was made at another node, or this registry was restarted since; make a new one here with: grapevine token create")

// Join takes a token, once, for a certificate.
func (d *Desk) Join(ctx context.Context, ask fleet.Join) (fleet.Joined, error) {
	held, request, err := d.redeem(ctx, ask)
	if err != nil {
		return fleet.Joined{}, err
	}
	id := held.HostID
	if id.IsZero() {
		id = ask.HostID
	}
	if id.IsZero() {
		var random [16]byte
		_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
		id = fleet.NewUUIDv4(random)
	}
	now := time.Now()
	// By whatever clocks: who is let in again is let in after the revocation.
	since := now
	if d.cfg.RevokedAt != nil {
		if revoked := d.cfg.RevokedAt(id).Add(time.Second); revoked.After(since) {
			since = revoked
		}
	}
	joined, err := d.issue(request, identity.Role(held.Role), id, now, since)
	if err != nil {
		return fleet.Joined{}, err
	}
	joined.GossipKeys, joined.Join = d.gossipKeys(), d.cfg.Members()
	d.cfg.Log.Info("node let in by a join token", "token", held.ID, "by", held.By, "role", string(held.Role), "id", id.String(), "name", request.Name)
	return joined, nil
}

// redeem uses a token up. All that can be refused for another reason is looked
// at before, so that a mistake does not cost the token.
func (d *Desk) redeem(ctx context.Context, ask fleet.Join) (Held, identity.Request, error) {
	done, err := d.take(ctx)
	if err != nil {
		return Held{}, identity.Request{}, err
	}
	defer done()
	held, ok := d.held[ask.Token]
	if !held.opens(ask.Secret, time.Now()) || !ok {
		return Held{}, identity.Request{}, errNotLetIn
	}
	request, err := identity.ReadRequest([]byte(ask.CSR))
	if err != nil {
		return Held{}, identity.Request{}, refused(fleet.CodeInvalid, err.Error())
	}
	switch {
	case ask.HostID.IsZero(), ask.HostID == held.HostID:
	case !held.HostID.IsZero():
		return Held{}, identity.Request{}, refused(fleet.CodeConflict, "the hardware is host "+ask.HostID.String()+" and the join token is for host "+held.HostID.String()+"; make a token for the first")
	case d.cfg.Taken != nil && d.cfg.Taken(ask.HostID):
		return Held{}, identity.Request{}, refused(fleet.CodeConflict, "the fleet knows host "+ask.HostID.String()+" already, and nobody becomes it by asking; restore its identity with: grapevine token create --host-id "+ask.HostID.String())
	}
	delete(d.held, ask.Token)
	if err := d.save(); err != nil {
		d.held[ask.Token] = held
		return Held{}, identity.Request{}, err
	}
	return held, request, nil
}

// RenewCertificate implements api.Enrolment: a node that proves who it is gets
// another certificate of the same subject, enrolled when it was.
func (d *Desk) RenewCertificate(ctx context.Context, ask fleet.RenewCertificate, role fleet.Role, id fleet.UUID, enrolled time.Time) (fleet.Joined, error) {
	if !d.Open() {
		return fleet.Joined{}, errClosed
	}
	request, err := identity.ReadRequest([]byte(ask.CSR))
	if err != nil {
		return fleet.Joined{}, refused(fleet.CodeInvalid, err.Error())
	}
	renewed, err := d.issue(request, identity.Role(role), id, time.Now(), enrolled)
	if err == nil {
		d.cfg.Log.InfoContext(ctx, "certificate renewed", "role", string(role), "id", id.String(), "name", request.Name)
	}
	return renewed, err
}

func (d *Desk) issue(r identity.Request, role identity.Role, id fleet.UUID, now, since time.Time) (fleet.Joined, error) {
	chain, err := d.issuing().Certify(r, role, id, cmp.Or(d.cfg.Life, fleet.CertificateLife), now, since)
	if err != nil {
		return fleet.Joined{}, err
	}
	own := d.Trust()
	return fleet.Joined{Fleet: own.Fleet, ID: id, Role: fleet.Role(role), Certificate: string(chain), CA: own.CA}, nil
}
