package agent

import (
	"context"

	"grapevine/agent/journal"
	"grapevine/api"
	"grapevine/enrol"
	"grapevine/fleet"
	"grapevine/identity"
)

var _ api.Enrolment = (*enrol.Desk)(nil)

// openDesk makes what lets others in, with the tokens that the journal has.
func (a *Agent) openDesk(own identity.Credentials) error {
	var held []enrol.Held
	if err := a.journal.JoinTokens(&held); err != nil {
		return err
	}
	a.desk = enrol.New(enrol.Config{
		Credentials: own, Life: a.cfg.CertificateLife, Held: held, Save: saveTokens(a.journal),
		Taken:      func(id fleet.HostID) bool { return id == a.hostID || a.mesh.Replica().Block(id) != nil },
		RevokedAt:  a.identity.RevokedAt,
		GossipKeys: a.mesh.GossipKeys, Members: a.mesh.JoinThrough, Log: a.log,
	})
	a.renewer = enrol.NewRenewer(enrol.RenewerConfig{
		Credentials: own, Desk: a.desk, Members: a.mesh.Members, Ask: a.peers.RenewCertificate, Log: a.log,
		// The block bears the certificate: others are to hear of it also where nothing else changes.
		Renewed: func() { a.peers.Reconnect(); a.publish() },
	})
	trust := func(ctx context.Context, at *fleet.Member) (fleet.Trust, error) {
		return a.peers.Trust(ctx, at, identity.StrangerTLS())
	}
	a.follower = enrol.NewFollower(enrol.FollowerConfig{
		Credentials: own, Heard: a.TrustLists, Members: a.mesh.Members, Ask: trust, Followed: a.peers.Reconnect, Log: a.log,
	})
	a.revocations = enrol.NewRevocations(own.Identity, a.View.RevokedHosts, func() { a.mesh.Bar(); a.LookAgain() }, a.log)
	return a.metrics.registry.Register(enrol.Expiry(own.Identity))
}

func saveTokens(j *journal.Journal) func([]enrol.Held) error {
	return func(held []enrol.Held) error { return j.SetJoinTokens(held) }
}
