package registry

import (
	"context"

	"grapevine/api/client"
	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
)

// openDesk makes what lets others in, and what renews the registry's own
// certificate.
func (r *Registry) openDesk() *enrol.Desk {
	desk := enrol.New(enrol.Config{
		Credentials: r.deps.Credentials, Life: r.cfg.CertificateLife, Log: r.deps.Log,
		Taken:      func(id fleet.HostID) bool { return r.mesh.Replica().Block(id) != nil },
		RevokedAt:  r.deps.Identity.RevokedAt,
		GossipKeys: r.mesh.GossipKeys, Members: r.mesh.JoinThrough,
	})
	r.renewer = enrol.NewRenewer(enrol.RenewerConfig{
		Credentials: r.deps.Credentials, Desk: desk, Members: r.mesh.Members, Ask: r.askCertificate, Renewed: r.peers.Reconnect, Log: r.deps.Log,
	})
	r.follower = enrol.NewFollower(enrol.FollowerConfig{
		Credentials: r.deps.Credentials, Heard: r.core.TrustLists, Members: r.mesh.Members, Ask: r.askTrust, Followed: r.peers.Reconnect, Log: r.deps.Log,
	})
	r.revocations = enrol.NewRevocations(r.deps.Identity, r.core.RevokedHosts, func() { r.mesh.Bar(); r.core.LookAgain() }, r.deps.Log)
	return desk
}

// askCertificate has a node that holds a CA renew this registry's certificate.
func (r *Registry) askCertificate(ctx context.Context, at *fleet.Member, ask fleet.RenewCertificate) (fleet.Joined, error) {
	peer, err := r.peers.At(at.API, at.ID)
	if err != nil {
		return fleet.Joined{}, err
	}
	return peer.RenewCertificate(ctx, ask)
}

// askTrust has a node say what it trusts, without trusting it.
func (r *Registry) askTrust(ctx context.Context, at *fleet.Member) (fleet.Trust, error) {
	stranger, err := client.New("https://"+at.API, client.Options{TLS: identity.StrangerTLS(), Dialer: r.deps.Network})
	if err != nil {
		return fleet.Trust{}, err
	}
	defer stranger.Close()
	return stranger.Trust(ctx)
}
