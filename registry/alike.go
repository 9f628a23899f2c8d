package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/internal/pause"
	"grapevine/mesh"
)

// alikeEvery is how often a registry looks whether others have what it has.
const alikeEvery = 5 * time.Second

// alike compares what all registries have to have alike with what the others say
// that they have. Nobody says which of two is right: that is for people.
type alike struct {
	self     fleet.UUID
	users    *users
	settings string
	mesh     alikeMesh
	log      *slog.Logger
	metrics  *metrics

	mu    sync.Mutex
	told  fleet.Alike
	since map[fleet.UUID]difference // guarded by mu: of registries that differ
}

// difference is what another registry has otherwise.
type difference struct {
	name   string
	of     []string
	since  time.Time
	warned bool
}

// alikeMesh is where registries tell of themselves.
type alikeMesh interface {
	Members() []fleet.Member
	Tell(a fleet.Alike) error
}

var _ alikeMesh = (*mesh.Mesh)(nil)

func newAlike(cfg *Config, self fleet.UUID, u *users, m alikeMesh, log *slog.Logger, counts *metrics) *alike {
	return &alike{self: self, users: u, settings: settingsHash(cfg), mesh: m, log: log, metrics: counts, since: map[fleet.UUID]difference{}}
}

// settingsHash is over the settings by which two registries would answer the same
// request otherwise. The order of lists does not matter.
func settingsHash(cfg *Config) string {
	flavors := slices.SortedFunc(slices.Values(cfg.Flavors), func(a, b fleet.Flavor) int { return strings.Compare(a.Name, b.Name) })
	unique := slices.Compact(slices.Sorted(slices.Values(cfg.UniqueNames)))
	text, err := json.Marshal([]any{flavors, append([]string{}, unique...), cfg.Placement, []string{cfg.OIDC.Issuer, cfg.OIDC.ClientID, cfg.OIDC.UserClaim, cfg.OIDC.GroupsClaim}})
	if err != nil {
		panic(fmt.Sprintf("settings do not encode: %v", err)) // they are texts and numbers
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:fleet.AlikeDigits]
}

// own is what this registry has.
func (a *alike) own() fleet.Alike {
	own := fleet.Alike{UsersFile: "none", Settings: a.settings}
	if book := a.users.book(); book != nil {
		own.UsersFile = book.Hash()[:fleet.AlikeDigits]
	}
	return own
}

// Run tells and looks until ctx ends.
func (a *alike) Run(ctx context.Context) error {
	for more := true; more; more = pause.For(ctx, alikeEvery) {
		a.tell()
		a.look(time.Now())
	}
	return nil
}

// tell tells the others what this registry has now. Where that fails it is told
// again at the next look.
func (a *alike) tell() {
	own := a.own()
	if own == a.told {
		return
	}
	if err := a.mesh.Tell(own); err != nil {
		a.log.Debug("other registries not told", "error", err)
		return
	}
	a.told = own
}

// look notes since when each other registry that is there differs.
func (a *alike) look(now time.Time) {
	own := a.own()
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.since
	a.since = map[fleet.UUID]difference{}
	long := map[string]int{"users_file": 0, "settings": 0}
	for _, m := range a.mesh.Members() {
		if m.ID == a.self || m.Role != fleet.RoleRegistry || m.Status != fleet.MemberAlive {
			continue
		}
		of := own.Differs(m.Alike)
		if of == nil {
			continue
		}
		d, known := before[m.ID]
		if !known {
			d.since = now
		}
		d.name, d.of = m.Name, of
		if now.Sub(d.since) > fleet.DiffersAfter {
			a.warn(&d, m.ID)
			for _, what := range of {
				long[what]++
			}
		}
		a.since[m.ID] = d
	}
	for what, n := range long {
		a.metrics.differing.WithLabelValues(what).Set(float64(n))
	}
}

// warn says once that a registry differs.
func (a *alike) warn(d *difference, id fleet.UUID) {
	if !d.warned {
		d.warned = true
		a.log.Warn("another registry does not have what this one has; which of them is asked decides what may be done", "registry", d.name, "id", id.String(), "of", strings.Join(d.of, " and "))
	}
}

// mark says of each member for how long it has differed.
func (a *alike) mark(members []fleet.Member, now time.Time) {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range members {
		if d, differs := a.since[members[i].ID]; differs {
			members[i].DiffersMS = max(now.Sub(d.since).Milliseconds(), 1)
		}
	}
}

// findings are the registries that have differed for longer than a file may be on
// its way.
func (a *alike) findings(now time.Time) []fleet.Finding {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []fleet.Finding
	for id, d := range a.since {
		if now.Sub(d.since) <= fleet.DiffersAfter {
			continue
		}
		out = append(out, fleet.Finding{
			Type: fleet.FindRegistries, Host: id, HostName: d.name,
			What: fmt.Sprintf("registry %s has not had the same %s as the registry that was asked for %s", d.name, strings.Join(d.of, " and "), now.Sub(d.since).Round(time.Second)),
			Do:   differsDo,
		})
	}
	return out
}

// differsDo is what to do about registries that differ.
const differsDo = "bring users_file, and flavors, unique_names, placement and oidc of registry.toml, of the right registry to the other; a users file is read by itself, settings take a restart"

// Members implements api.Core: of registries it says for how long they have
// differed from this one.
func (c *core) Members(ctx context.Context) (fleet.List[fleet.Member], error) {
	list, err := c.View.Members(ctx)
	c.alike.mark(list.Items, time.Now())
	return list, err
}

// Verify implements api.Core: registries are compared as well.
func (c *core) Verify(ctx context.Context) (fleet.Verification, error) {
	out, err := c.View.Verify(ctx)
	out.Items = append(out.Items, c.alike.findings(time.Now())...)
	out.Order()
	return out, err
}
