package people

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// tokenTime is when the tokens of the fuzz test are judged.
var tokenTime = time.UnixMilli(1_700_000_000_000)

// A token's signature is checked before it is read, and what a later release, or
// a registry that is taken over, signs is still judged: what is taken is of this
// fleet, in its time, and reads the same when it is written again.
func FuzzDecodeToken(f *testing.F) {
	good := Token{
		ID: fleet.UUID{1}, Fleet: "home", User: "alice", Key: "ci", Project: "shop", Role: Member,
		IssuedMS: tokenTime.UnixMilli(), ExpiresMS: tokenTime.Add(time.Hour).UnixMilli(),
	}
	f.Add(good.Encode())
	admin := good
	admin.Project, admin.Role, admin.Key = "", Admin, ""
	f.Add(admin.Encode())
	outsider := good
	outsider.User, outsider.Key, outsider.Group = OIDCPrefix+"alice", "", "devs"
	f.Add(outsider.Encode())
	f.Add(append(good.Encode(), good.Encode()...))
	f.Add([]byte(`{"id":"01000000-0000-0000-0000-000000000000","fleet":"home","user":"a","role":"reader","project":"p","issued_ms":-9223372036854775808,"expires_ms":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := DecodeToken(content, "home", tokenTime)
		if err != nil {
			if got != (Token{}) || strings.ContainsAny(err.Error(), "\n\x00") || len(err.Error()) > 500 {
				t.Errorf("refused with %q and %+v", err, got)
			}
			return
		}
		life := got.ExpiresAt().Sub(got.IssuedAt())
		if got.Fleet != "home" || !got.Role.Known() || checkTokenUser(&got) != nil || got.ID.IsZero() || life > MaxTokenLife ||
			got.IssuedAt().After(tokenTime.Add(Leeway)) || got.ExpiresAt().Before(tokenTime.Add(-Leeway)) {
			t.Errorf("taken: %+v", got)
		}
		again, err := DecodeToken(got.Encode(), "home", tokenTime)
		if err != nil || again != got {
			t.Errorf("%+v is written and read as %+v: %v", got, again, err)
		}
		if !json.Valid(content) {
			t.Errorf("a token with something behind it is taken: %s", content)
		}
	})
}

// A hash in the users file costs a registry what it says: never more than the
// bounds, and it is written as it was read.
func FuzzParsePHC(f *testing.F) {
	f.Add(cheap + "c3Vtc3Vtc3Vtc3Vtc3Vt")
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$c3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3Vtc3U")
	f.Add("$argon2id$v=19$m=4294967295,t=4294967295,p=255$c2FsdHNhbHQ$c3Vtc3Vtc3Vtc3Vtc3Vt")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePHC(text)
		if err != nil {
			return
		}
		if p.memoryKiB > maxMemoryKiB || p.passes > maxPasses || p.lanes > maxLanes || p.lanes == 0 || p.passes == 0 || p.cost() > maxMemoryKiB*maxPasses {
			t.Errorf("%q costs %s", text, p.parameters())
		}
		if p.String() != text {
			t.Errorf("%q is written %q", text, &p)
		}
	})
}
