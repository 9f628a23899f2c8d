package enrol

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/pause"
)

// FollowerConfig is what a node follows the fleet's lists of roots with.
type FollowerConfig struct {
	// Credentials are the node's own.
	identity.Credentials
	// Heard are the lists that anybody holds: they prove themselves, or not.
	Heard func() []string
	// Members are those of the mesh, and Ask has one say what it trusts, over TLS
	// that trusts nobody.
	Members func() []fleet.Member
	Ask     func(ctx context.Context, at *fleet.Member) (fleet.Trust, error)
	// Followed is called after each list that is followed; it may be nil.
	Followed func()
	Log      *slog.Logger
}

// Follower keeps the roots that a node trusts in step with the fleet's list.
type Follower struct {
	cfg      FollowerConfig
	judged   map[fleet.UUID]bool // lists that were not followed, by the roots of this moment
	askAfter time.Time           // when a member may be asked again
	pause    time.Duration
	// complained names the list of which it was said that it cannot be followed.
	complained fleet.UUID
}

const (
	// lookForTrust is how often the lists are looked at.
	lookForTrust = time.Second
	// A node that meets strangers asks a member what it trusts, and then ever later.
	firstAsk = 5 * time.Second
	lastAsk  = 5 * time.Minute
)

// NewFollower returns one that waits to be run.
func NewFollower(cfg FollowerConfig) *Follower {
	return &Follower{cfg: cfg, judged: map[fleet.UUID]bool{}}
}

// Run looks every second until ctx ends.
func (f *Follower) Run(ctx context.Context) error {
	for more := true; more; more = pause.For(ctx, lookForTrust) {
		for _, text := range f.cfg.Heard() {
			f.follow(text)
		}
		f.askAround(ctx)
	}
	return nil
}

// follow goes on with a list if it is good and newer. What was not is not looked
// at again before the roots have changed.
func (f *Follower) follow(text string) {
	name := fleet.NameTrust(text)
	if f.judged[name] {
		return
	}
	own := f.cfg.Identity
	if _, newer, err := own.CheckTrust([]byte(text)); err != nil || !newer {
		if err != nil {
			f.cfg.Log.Warn("list of the fleet's roots is not followed", "error", err)
		}
		f.judged[name] = true
		return
	}
	if _, err := own.Follow(f.cfg.Files, []byte(text)); err != nil { // by what can be mended here
		if f.complained != name {
			f.complained = name
			f.cfg.Log.Error("list of the fleet's roots cannot be followed; it is tried again every second", "error", err)
		}
		return
	}
	clear(f.judged)
	f.pause = 0
	list := own.TrustNow()
	f.cfg.Log.Info("list of the fleet's roots is followed", "number", list.Number, "roots", len(list.Roots), "wanted", fleet.ShortRoot(identity.RootName(list.Roots[0])))
	f.sayBehind()
	if f.cfg.Followed != nil {
		f.cfg.Followed()
	}
}

// sayBehind tells whoever reads this node's log that others do not take its
// certificate any more.
func (f *Follower) sayBehind() {
	own := f.cfg.Identity
	if len(own.Roots()) > len(own.TrustNow().Roots) {
		f.cfg.Log.Error("the fleet dropped the root that this node's certificate is of, so the others talk to it no more; join the fleet again by a join token for this id, see grapevine token create --host-id", "id", own.Subject().ID.String())
	}
}

// askAround has a member say what it trusts, where others answer with certificates
// that no root vouches for which is trusted here: the fleet may have gone on while
// this node was away. Who is asked proves nothing, and its answer proves itself.
func (f *Follower) askAround(ctx context.Context) {
	if time.Now().Before(f.askAfter) || !f.cfg.Identity.MetStranger() {
		return
	}
	f.pause = min(max(2*f.pause, firstAsk), lastAsk)
	f.askAfter = time.Now().Add(f.pause/2 + rand.N(f.pause)) //nolint:gosec // a pause is no secret.
	members := slices.Clone(f.cfg.Members())
	rand.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	asked := 0
	for i := range members {
		if m := &members[i]; m.Status == fleet.MemberAlive && m.ID != f.cfg.Identity.Subject().ID && asked < maxAsked {
			asked++
			f.askOne(ctx, m)
		}
	}
}

func (f *Follower) askOne(ctx context.Context, m *fleet.Member) {
	within, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	said, err := f.cfg.Ask(within, m)
	if err != nil {
		f.cfg.Log.Debug("member did not say what it trusts", "member", m.Name, "error", err)
		return
	}
	if list, err := identity.ReadTrust([]byte(said.CA)); err == nil && list != nil {
		f.follow(string(list.Text()))
	}
}

// Trusting is what a node says of the roots that it trusts, and of itself.
func (d *Desk) Trusting() fleet.TrustReport {
	own := d.cfg.Identity
	row := fleet.TrustNode{
		ID: own.Subject().ID, Name: own.Subject().Name, Role: fleet.Role(own.Subject().Role),
		Trusts: []string{}, Root: identity.RootName(own.Root()), Until: own.NotAfter().UTC(),
	}
	out := fleet.TrustReport{Fleet: own.Subject().Fleet, CA: string(own.RootsPEM()), Roots: []fleet.TrustRoot{}}
	if list := own.TrustNow(); list != nil {
		out.Number, row.Number = list.Number, list.Number
	}
	for _, root := range own.Roots() {
		name := identity.RootName(root)
		row.Trusts = append(row.Trusts, name)
		out.Roots = append(out.Roots, fleet.TrustRoot{Name: name, Until: root.NotAfter.UTC()})
	}
	if d.Open() {
		ca := d.issuing()
		row.Issuer = string(ca.CertPEM())
		if root := own.RootOf(ca); root != nil {
			row.IssuerRoot = identity.RootName(root)
		}
	}
	out.Nodes = []fleet.TrustNode{row}
	return out
}

// RootOf names the root that a host's certificate is of, by the credential in its
// block; empty where none that this node trusts vouches for it.
func RootOf(own *identity.Identity) func(credential []byte) string {
	return func(credential []byte) string {
		if root := own.RootOfCredential(credential); root != nil {
			return identity.RootName(root)
		}
		return ""
	}
}

// CheckChange judges a list of roots that somebody wants followed: it has to prove
// itself and, unless force says otherwise, to cut off no node in the report, which
// is asked for only then. The one that is followed may be sent again.
func CheckChange(own *identity.Identity, ask *fleet.ChangeTrust, report func() (fleet.TrustReport, error)) error {
	list, newer, err := own.CheckTrust([]byte(ask.Trust))
	if err != nil {
		return refused(fleet.CodeInvalid, err.Error())
	}
	now := own.TrustNow()
	switch {
	case now != nil && !newer && string(now.Text()) == string(list.Text()):
		return nil // sent again
	case !newer:
		return refused(fleet.CodeConflict, fmt.Sprintf("the fleet follows list %d of its roots and this is list %d; look with grapevine tls rotate status, and give the command again", now.Number, list.Number))
	case ask.Force:
		return nil
	}
	known, err := report()
	if err != nil {
		return err
	}
	next := make([]string, len(list.Roots))
	for i, root := range list.Roots {
		next[i] = identity.RootName(root)
	}
	if why := known.Hinders(next); len(why) > 0 {
		const shown = 20
		more := ""
		if len(why) > shown {
			more = fmt.Sprintf("; and %d more", len(why)-shown)
			why = why[:shown]
		}
		return refused(fleet.CodeConflict, fmt.Sprintf("these would be cut off: %s%s; wait for them, give up those that do not come back (grapevine host declare-dead), or give --force with a reason", strings.Join(why, "; "), more))
	}
	return nil
}
