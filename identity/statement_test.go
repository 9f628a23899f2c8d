package identity

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"
)

func member(t *testing.T, ca *CA, role Role) *Identity {
	t.Helper()
	id, err := New(ca.CertPEM(), issue(t, ca, Subject{Role: role, ID: alpha, Name: string(role)}, now), now)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestStatementsOfOneFleetAreReadByAll(t *testing.T) {
	ca := newCA(t, now)
	registry, agent := member(t, ca, Registry), member(t, ca, Agent)
	said, err := registry.State([]byte(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	payload, by, err := agent.Stated(said, now)
	if err != nil || !bytes.Equal(payload, []byte(`{"a":1}`)) || by.ID != alpha || by.Role != Registry {
		t.Errorf("read %q of %v, %v", payload, by, err)
	}
}

func TestStatementsThatNobodyMadeAreRefused(t *testing.T) {
	ca := newCA(t, now)
	registry, agent := member(t, ca, Registry), member(t, ca, Agent)
	said, err := registry.State([]byte(`{"user":"alice"}`))
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(said, ".")
	other, err := member(t, newCA(t, now), Registry).State([]byte(`{"user":"alice"}`)) // a CA of the same name
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	for name, tt := range map[string]struct {
		statement string
		at        time.Time
	}{
		"nothing":                   {"", now},
		"two parts":                 {parts[0] + "." + parts[1], now},
		"another payload":           {parts[0] + "." + b64([]byte(`{"user":"root"}`)) + "." + parts[2], now},
		"another's header":          {strings.Split(other, ".")[0] + "." + parts[1] + "." + parts[2], now},
		"no signature":              {parts[0] + "." + parts[1] + ".", now},
		"a signature of zeros":      {parts[0] + "." + parts[1] + "." + b64(make([]byte, 64)), now},
		"no algorithm":              {b64([]byte(`{"alg":"none"}`)) + "." + parts[1] + "." + parts[2], now},
		"no certificates":           {b64([]byte(`{"alg":"ES256","typ":"grapevine-statement","x5c":[]}`)) + "." + parts[1] + "." + parts[2], now},
		"signed by another CA":      {other, now},
		"signer's time is over":     {said, now.Add(2 * year)},
		"signer's time is to come":  {said, now.Add(-year)},
		"past the bound":            {parts[0] + "." + strings.Repeat("A", MaxStatementBytes) + "." + parts[2], now},
		"base64 in another wording": {said + "=", now},
	} {
		if payload, _, err := agent.Stated(tt.statement, tt.at); !errors.Is(err, ErrNoStatement) || payload != nil {
			t.Errorf("%s: read %q, %v", name, payload, err)
		}
	}
}

func FuzzStated(f *testing.F) {
	ca, err := NewCA("home", now)
	if err != nil {
		f.Fatal(err)
	}
	pair, err := ca.Issue(Subject{Role: Registry, ID: alpha}, year, now)
	if err != nil {
		f.Fatal(err)
	}
	id, err := New(ca.CertPEM(), pair, now)
	if err != nil {
		f.Fatal(err)
	}
	said, err := id.State([]byte("payload"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(said)
	f.Fuzz(func(t *testing.T, statement string) {
		payload, _, err := id.Stated(statement, now)
		if err == nil && string(payload) != "payload" {
			t.Errorf("a statement that was never made is read: %q", payload)
		}
	})
}
