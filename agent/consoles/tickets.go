package consoles

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"sync"
	"time"

	"grapevine/fleet"
)

// Pass is what somebody may open.
type Pass struct {
	Instance fleet.InstanceID
	fleet.OpenConsole
	// Who asked for it, for the log and for those who find the place taken.
	Who string
}

// Tickets are the passes that were given out and not used yet. What is kept is
// the hash of a token, not the token. The zero value is ready, and may be used
// from several goroutines at once.
type Tickets struct {
	mu   sync.Mutex
	live map[[sha256.Size]byte]issued // guarded by mu
}

type issued struct {
	Pass
	until time.Time // monotonic
}

// Issue returns a token that opens the pass once, within
// fleet.ConsoleTicketLife, and when that ends.
func (t *Tickets) Issue(pass Pass) (token string, until time.Time, err error) {
	var random [32]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
	token = base64.RawURLEncoding.EncodeToString(random[:])
	now := time.Now()
	until = now.Add(fleet.ConsoleTicketLife)
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.live, func(_ [sha256.Size]byte, i issued) bool { return now.After(i.until) })
	if len(t.live) >= fleet.MaxConsoleTickets {
		return "", time.Time{}, &fleet.Error{
			Code:   fleet.CodeTooMany,
			Detail: fmt.Sprintf("%d tickets for consoles of this host wait to be used; try again in %s", len(t.live), fleet.ConsoleTicketLife),
		}
	}
	if t.live == nil {
		t.live = map[[sha256.Size]byte]issued{}
	}
	t.live[sha256.Sum256([]byte(token))] = issued{pass, until}
	return token, until, nil
}

// Redeem returns what the token opens for this instance. Whatever comes of it,
// the token is used up: one that is shown for another instance has leaked.
func (t *Tickets) Redeem(token string, id fleet.InstanceID) (Pass, bool) {
	key := sha256.Sum256([]byte(token))
	t.mu.Lock()
	defer t.mu.Unlock()
	found, ok := t.live[key]
	delete(t.live, key)
	if !ok || found.Instance != id || time.Now().After(found.until) {
		return Pass{}, false
	}
	return found.Pass, true
}
