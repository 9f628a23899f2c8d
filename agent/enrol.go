package agent

import (
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
		Credentials: own, Held: held, Save: saveTokens(a.journal),
		Taken:      func(id fleet.HostID) bool { return id == a.hostID || a.mesh.Replica().Block(id) != nil },
		GossipKeys: a.mesh.GossipKeys, Members: a.mesh.JoinThrough, Log: a.log,
	})
	return nil
}

func saveTokens(j *journal.Journal) func([]enrol.Held) error {
	return func(held []enrol.Held) error { return j.SetJoinTokens(held) }
}
