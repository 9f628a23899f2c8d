package enrol

import (
	"context"
	"log/slog"
	"maps"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/pause"
)

// Revocations keeps what a node refuses in step with the records that it has
// heard of.
type Revocations struct {
	own   *identity.Identity
	heard func() map[fleet.UUID]time.Time
	apply func() // once other members are barred than before
	log   *slog.Logger

	barred map[fleet.UUID]bool
}

// lookForRevoked is how often the records are looked at.
const lookForRevoked = time.Second

// NewRevocations returns what is to be run. Heard says up to when the certificates
// of nodes were revoked; apply is called when others are barred than before.
func NewRevocations(own *identity.Identity, heard func() map[fleet.UUID]time.Time, apply func(), log *slog.Logger) *Revocations {
	return &Revocations{own: own, heard: heard, apply: apply, log: log, barred: map[fleet.UUID]bool{}}
}

// Run looks every second until ctx ends.
func (r *Revocations) Run(ctx context.Context) error {
	for more := true; more; more = pause.For(ctx, lookForRevoked) {
		r.look()
	}
	return nil
}

func (r *Revocations) look() {
	heard := r.heard()
	r.own.Revoke(heard)
	barred := make(map[fleet.UUID]bool, len(heard))
	for id := range heard {
		if !r.own.Barred(id) {
			continue
		}
		barred[id] = true
		switch {
		case r.barred[id]:
		case id == r.own.Subject().ID:
			r.log.Error("an operator revoked this node: the others talk to it no more; join the fleet again by a join token for this id, see grapevine token create --host-id", "id", id.String())
		default:
			r.log.Warn("node was revoked by an operator: its certificates are refused, and its links closed", "id", id.String(), "until", heard[id])
		}
	}
	if !maps.Equal(barred, r.barred) {
		r.barred = barred
		r.apply()
	}
}
