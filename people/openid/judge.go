package openid

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"grapevine/fleet"
	"grapevine/people"
)

// algorithms are those by which ID tokens may be signed: with a key of which the
// provider publishes a half that signs nothing. With none, or with a shared secret,
// anybody could sign.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// Said is what an ID token says that is good.
type Said struct {
	User     string
	Groups   []string
	Nonce    string
	IssuedAt time.Time
}

// Judge returns what an ID token says. An error is a sentence for whoever showed it:
// that it is not good, or that the provider does not answer now.
func (p *Provider) Judge(ctx context.Context, idToken string, now time.Time) (Said, error) {
	if err := checkShape(idToken); err != nil {
		return Said{}, err
	}
	keys, err := p.keySet(ctx, now)
	if err != nil {
		return Said{}, err
	}
	// The times are judged here, by the clock's own leeway.
	noted := &notedKeys{KeySet: keys}
	verifier := oidc.NewVerifier(p.cfg.Issuer, noted, &oidc.Config{ClientID: p.cfg.ClientID, SupportedSigningAlgs: algorithms, SkipExpiryCheck: true})
	token, err := verifier.Verify(ctx, idToken)
	switch {
	case noted.unfetched():
		return Said{}, p.unreachable(noted.err)
	case err != nil:
		return Said{}, p.wrong(err)
	}
	return p.read(token, now)
}

// wrong says why an ID token is not good, in the order in which it is judged. What
// the library says is not passed on: it quotes the token.
func (p *Provider) wrong(err error) error {
	switch text := err.Error(); {
	case strings.Contains(text, "issued by a different provider"):
		return refused("it is not one of " + p.cfg.Issuer)
	case strings.Contains(text, "expected audience"):
		return refused("it is for another client than " + p.cfg.ClientID)
	default:
		return refused("it is not signed by a key of " + p.cfg.Issuer + ", or was changed")
	}
}

func refused(why string) error {
	return &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "the ID token is not taken: " + why + "; log in at the OpenID provider again"}
}

// checkShape judges what can be seen of a token without any key: one signature, in
// the compact form, and that it is no access or logout token.
func checkShape(idToken string) error {
	parts := strings.Split(idToken, ".")
	if len(idToken) > fleet.MaxIDTokenBytes || len(parts) != 3 {
		return refused("it is not one, three parts with dots between")
	}
	var header struct {
		Algorithm string `json:"alg"`
		Type      string `json:"typ"`
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || json.Unmarshal(text, &header) != nil {
		return refused("it is not one, for its header cannot be read")
	}
	switch {
	case !slices.Contains(algorithms, header.Algorithm):
		return refused(fmt.Sprintf("it is signed by the algorithm %.20q, and %s are taken", header.Algorithm, strings.Join(algorithms, ", ")))
	case header.Type != "" && !strings.EqualFold(header.Type, "JWT"):
		return refused(fmt.Sprintf("it is a token of the type %.20q and no ID token", header.Type))
	}
	return nil
}

// read judges a token whose signature, issuer and audience are right, and reads it.
func (p *Provider) read(token *oidc.IDToken, now time.Time) (Said, error) {
	var claims map[string]json.RawMessage
	var times struct {
		NotBefore *float64 `json:"nbf"`
		Party     string   `json:"azp"`
	}
	if token.Claims(&claims) != nil || token.Claims(&times) != nil {
		return Said{}, refused("what it says cannot be read")
	}
	switch {
	case token.IssuedAt.Unix() <= 0 || token.Expiry.Unix() <= 0:
		return Said{}, refused("it does not say when it was issued and when it ends")
	case now.After(token.Expiry.Add(people.Leeway)):
		return Said{}, refused("it expired on " + token.Expiry.UTC().Format(time.RFC3339))
	case now.Add(people.Leeway).Before(token.IssuedAt), times.NotBefore != nil && float64(now.Add(people.Leeway).Unix()) < *times.NotBefore:
		return Said{}, refused("it is not good yet; set the clocks of the provider and of this registry")
	case len(token.Audience) > 1 && times.Party != p.cfg.ClientID:
		return Said{}, refused("it is for several clients, and was not issued to " + p.cfg.ClientID)
	}
	said := Said{Nonce: token.Nonce, IssuedAt: token.IssuedAt}
	var err error
	if said.User, err = p.user(claims); err != nil {
		return Said{}, err
	}
	said.Groups, err = p.groups(claims)
	return said, err
}

// user reads who the token is of. An address that the provider has not verified
// could be anybody's.
func (p *Provider) user(claims map[string]json.RawMessage) (name string, err error) {
	if json.Unmarshal(claims[p.cfg.UserClaim], &name) != nil || name == "" {
		return "", refused(fmt.Sprintf("its claim %q, by which people are named here (oidc.user_claim), is no text; an administrator can choose another one", p.cfg.UserClaim))
	}
	verified := false
	if p.cfg.UserClaim == "email" && (json.Unmarshal(claims["email_verified"], &verified) != nil || !verified) {
		return "", refused("the provider has not verified the address in it")
	}
	return name, nil
}

// groups reads a list of texts, or one text. A token without the claim names none.
func (p *Provider) groups(claims map[string]json.RawMessage) ([]string, error) {
	text, there := claims[p.cfg.GroupsClaim]
	if !there {
		return nil, nil
	}
	var list []string
	if json.Unmarshal(text, &list) == nil {
		return list, nil
	}
	var one string
	if json.Unmarshal(text, &one) == nil {
		return []string{one}, nil
	}
	return nil, refused(fmt.Sprintf("its claim %q, of groups (oidc.groups_claim), is no list of texts", p.cfg.GroupsClaim))
}

// notedKeys remembers what came of a signature: the library does not say whether a
// key was wrong, or could not be fetched.
type notedKeys struct {
	oidc.KeySet
	err error
}

// VerifySignature implements oidc.KeySet.
func (k *notedKeys) VerifySignature(ctx context.Context, jwt string) (payload []byte, err error) {
	payload, k.err = k.KeySet.VerifySignature(ctx, jwt)
	return payload, k.err
}

func (k *notedKeys) unfetched() bool {
	return k.err != nil && strings.HasPrefix(k.err.Error(), "fetching keys")
}
