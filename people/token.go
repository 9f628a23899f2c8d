package people

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"grapevine/fleet"
)

// Leeway is by how much the clocks of nodes may differ where a token's times are
// judged. They are wall-clock times, as people's are.
const Leeway = 30 * time.Second

// Token is what a signed token says. Its times are in milliseconds since 1970.
type Token struct {
	ID    fleet.UUID `json:"id"`
	Fleet string     `json:"fleet"` // for whom it is: no other fleet takes it
	User  string     `json:"user"`
	Key   string     `json:"key,omitempty"` // the API key it was got with
	// Group is that of an OpenID provider by which the user has the role. Releases
	// that know of no such users refuse the token for it.
	Group string `json:"group,omitempty"`
	// Project is what a member or reader is one of; of the others, what they mean
	// where they name none.
	Project   string `json:"project,omitempty"`
	Role      Role   `json:"role"`
	IssuedMS  int64  `json:"issued_ms"`
	ExpiresMS int64  `json:"expires_ms"`
}

// IssuedAt returns when it was issued.
func (t *Token) IssuedAt() time.Time { return time.UnixMilli(t.IssuedMS).UTC() }

// ExpiresAt returns when it ends.
func (t *Token) ExpiresAt() time.Time { return time.UnixMilli(t.ExpiresMS).UTC() }

// Encode writes the token, to be signed.
func (t *Token) Encode() []byte {
	content, err := json.Marshal(t)
	if err != nil {
		panic(fmt.Sprintf("token of %q does not encode: %v", t.User, err)) // it is texts and numbers
	}
	return content
}

// DecodeToken reads what a registry has signed, and judges it for a fleet at now.
// The errors say no more than whoever has the token knows.
func DecodeToken(content []byte, fleetName string, now time.Time) (Token, error) {
	var t Token
	strict := json.NewDecoder(bytes.NewReader(content))
	strict.DisallowUnknownFields() // what a later release limits by is not passed over
	err := strict.Decode(&t)
	if _, more := strict.Token(); err != nil || more != io.EOF {
		return Token{}, unauthenticated("the token says something that this release does not understand; log in at this node's registries")
	}
	switch {
	case t.Fleet != fleetName:
		return Token{}, unauthenticated(fmt.Sprintf("the token is for fleet %.80q and this is fleet %q; log in here", t.Fleet, fleetName))
	case t.ID.IsZero(), checkTokenUser(&t) != nil, !t.Role.Known(), !t.Role.FleetWide() && t.Project == "", t.IssuedMS < 0, t.ExpiresMS-t.IssuedMS > MaxTokenLife.Milliseconds():
		return Token{}, unauthenticated("the token is not whole; log in again")
	case now.Add(Leeway).Before(t.IssuedAt()):
		return Token{}, unauthenticated("the token is of the future; set the clocks of the registry and of this node")
	case now.After(t.ExpiresAt().Add(Leeway)):
		return Token{}, unauthenticated("the token expired on " + t.ExpiresAt().Format(time.RFC3339) + "; log in again")
	}
	return t, nil
}

// Covers reports whether the word that all tokens of a user are revoked, given at
// this time, means one. Clocks may differ, so that one issued a moment later is
// meant as well.
func (t *Token) Covers(revokedAt time.Time) bool {
	return !t.IssuedAt().After(revokedAt.Add(Leeway))
}

// Still says why a token is good no more by what the file says now; nil where
// its user would get as much today.
func (b *Book) Still(t *Token) error {
	if t.Group != "" {
		return b.stillOutside(t)
	}
	u := b.users[t.User]
	switch {
	case u == nil || u.Disabled:
		return unauthenticated("the token's user may not use this fleet any more")
	case b.RoleIn(t.User, t.Project).rank() < t.Role.rank():
		return unauthenticated("the token's user has the role of it no more; log in again")
	}
	if t.Key == "" {
		return nil
	}
	for _, k := range u.Keys {
		if k.Name == t.Key && (k.Project == "" || k.Project == t.Project && !t.Role.FleetWide()) {
			return nil
		}
	}
	return unauthenticated("the API key that the token was got with is good no more")
}

func unauthenticated(detail string) error {
	return &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: detail}
}
