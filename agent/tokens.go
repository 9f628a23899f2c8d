package agent

import (
	"context"
	"net/http"
	"time"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/people/tokens"
)

// RevokeTokens implements api.Writer: it answers once enough agents hold the
// record.
func (a *Agent) RevokeTokens(ctx context.Context, ask fleet.RevokeTokens, by string, who api.Principal) (fleet.Decided, error) {
	if err := a.settled(); err != nil {
		return fleet.Decided{}, err
	}
	word, err := wordOf(by, who)
	if err != nil {
		return fleet.Decided{}, err
	}
	return a.accept(ctx, ask.Record(), word, "")
}

// certified says who asks: a person by their token, everybody else by the client's
// certificate. A node shows no token.
func (a *Agent) certified(r *http.Request) api.Principal {
	if r.TLS == nil {
		return api.Principal{}
	}
	peer, err := a.identity.Admitted(*r.TLS, time.Now())
	if bearer := tokens.Bearer(r); bearer != "" && (err != nil || peer.Role == identity.Operator) {
		return a.gate.Principal(bearer, time.Now())
	}
	if err != nil {
		return api.Principal{}
	}
	return api.Principal{Role: api.PrincipalRole(peer.Role), ID: peer.ID, Name: peer.Name, Enrolled: identity.EnrolledAt(r.TLS.PeerCertificates[0])}
}
