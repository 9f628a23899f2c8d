package fleet

import (
	"fmt"
	"time"
)

// MaxIDTokenBytes bounds the ID token of an OpenID provider.
const MaxIDTokenBytes = 16 << 10

// IssueToken asks for a token: the body of POST /v1/tokens. Either the user and
// the password are given, or an API key, or an ID token of the OpenID provider.
type IssueToken struct {
	User     string `json:"user,omitempty"`
	Password string `json:"password,omitempty" format:"password"`
	APIKey   string `json:"api_key,omitempty" format:"password"`
	IDToken  string `json:"id_token,omitempty" format:"password" doc:"of the OpenID provider that GET /v1/login names"`
	Project  string `json:"project,omitempty" doc:"the one that the token is for; may be left out by users with one project, admins and operators"`
}

// Validate judges what a person sent. The error repeats nothing that is secret.
func (i *IssueToken) Validate() error {
	ways := 0
	for _, way := range []bool{i.User != "" && i.Password != "", i.APIKey != "", i.IDToken != ""} {
		if way {
			ways++
		}
	}
	switch {
	case ways != 1, i.APIKey+i.IDToken != "" && i.User+i.Password != "":
		return &Error{Code: CodeInvalid, Detail: "give user and password, or api_key alone, or id_token alone"}
	case len(i.IDToken) > MaxIDTokenBytes:
		return &Error{Code: CodeTooLarge, Detail: fmt.Sprintf("the ID token is %d bytes long; at most %d are taken: have the OpenID provider put fewer claims into it", len(i.IDToken), MaxIDTokenBytes)}
	}
	return nil
}

// Login is by what people log in at a registry.
type Login struct {
	// Passwords says that users of the users file log in, API keys among them.
	Passwords bool `json:"passwords"`
	// OIDC is the OpenID provider whose ID tokens are taken; absent for none.
	OIDC *OIDCLogin `json:"oidc,omitempty"`
}

// OIDCLogin is what a program needs to know to get an ID token.
type OIDCLogin struct {
	Issuer   string   `json:"issuer"`
	ClientID string   `json:"client_id"`
	Scopes   []string `json:"scopes"` // beside openid
}

// Token is the answer: what is sent from then on as a bearer token, and what it
// says.
type Token struct {
	Token     string    `json:"token"`
	ID        UUID      `json:"id"`
	User      string    `json:"user"`
	Project   string    `json:"project,omitempty"`
	Role      string    `json:"role" enum:"admin,operator,member,reader"`
	IssuedAt  time.Time `json:"issued_at"`
	ExpiresAt time.Time `json:"expires_at"`
}

// RevokeTokens names the tokens that are to be taken no more: one, or all that a
// user got up to a moment.
type RevokeTokens struct {
	ID   UUID   // of the one, or zero
	User string // whose it is, where that is known, or whose they are
	// At is when somebody said so, by the clock of the node that was asked first.
	At time.Time
}

// revokeSpace is the name space of what revocations of a user's tokens are about.
var revokeSpace = UUID{0x51, 0x1f, 0x0c, 0x9a, 0x33, 0xd7, 0x4b, 0x6e, 0x8a, 0x02, 0x67, 0x72, 0x61, 0x70, 0x65, 0x38}

// Record returns the record that says so. One revocation sent twice is one
// record.
func (r *RevokeTokens) Record() Record {
	at := r.At.UTC().Truncate(time.Millisecond) // what the wire carries
	if !r.ID.IsZero() {
		return Record{Kind: RevokeToken, Subject: r.ID, Name: r.User, CreatedAt: at}
	}
	return Record{Kind: RevokeUser, Subject: NewUUIDv5(revokeSpace, fmt.Sprintf("%s/%d", r.User, at.UnixMilli())), Name: r.User, CreatedAt: at}
}

// User is a row of the users file, without what is secret.
type User struct {
	Name     string   `json:"name"`
	Role     string   `json:"role,omitempty"` // in the whole fleet: admin or operator
	Disabled bool     `json:"disabled,omitempty"`
	Projects []string `json:"projects"` // that name the user
	Keys     []string `json:"keys"`     // names of their API keys
}

// Project is a row of the users file, with what the project has.
type Project struct {
	Name    string   `json:"name"`
	Members []string `json:"members"`
	Readers []string `json:"readers"`
	Network string   `json:"network,omitempty"` // of instances that ask for none
	// Quota has what is limited, by resource, and Used what the answering node has
	// heard of.
	Quota map[string]int64 `json:"quota"`
	Used  map[string]int64 `json:"used"`
}
