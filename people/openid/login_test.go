package openid

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// lets makes the issuer let alice in: the code that a browser or a device brings is
// good for a token with the nonce that was asked for, or another one.
func (is *issuer) lets(t *testing.T, otherNonce bool) {
	t.Helper()
	key := is.publish(t, "k1")
	var challenge, nonce, redirect string
	is.mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		challenge, nonce, redirect = q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")
		if q.Get("code_challenge_method") != "S256" || q.Get("client_id") != "grapevine" || q.Get("scope") != "openid groups" || nonce == "" || len(q.Get("state")) < 20 {
			t.Errorf("asked for %v", q)
		}
		http.Redirect(w, r, redirect+"?"+url.Values{"code": {"c0de"}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
	})
	is.mux.HandleFunc("/device", func(w http.ResponseWriter, _ *http.Request) {
		is.answer(w, `{"device_code":"d3v1ce","user_code":"ABCD-EFGH","verification_uri":"https://id.example.org/device","expires_in":60,"interval":1}`)
	})
	polls := 0
	is.mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		sum := sha256.Sum256([]byte(r.Form.Get("code_verifier")))
		switch r.Form.Get("grant_type") {
		case "authorization_code":
			if r.Form.Get("code") != "c0de" || b64(sum[:]) != challenge || r.Form.Get("redirect_uri") != redirect {
				t.Errorf("the code is exchanged with %v", r.Form)
			}
		default:
			if polls++; polls == 1 {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error":"authorization_pending"}`)
				return
			}
		}
		if otherNonce {
			nonce = "of another login"
		}
		at := time.Now().Unix()
		token := signed(t, said{"alg": "RS256", "kid": "k1"}, is.honest().with(said{"iat": at, "exp": at + 60, "nonce": nonce}), rs256(key))
		is.answer(w, fmt.Sprintf(`{"access_token":"x","token_type":"Bearer","expires_in":60,"id_token":%q}`, token))
	})
}

func (is *issuer) login(t *testing.T) *Login {
	t.Helper()
	return &Login{Provider: is.provider(t, nil), Scopes: []string{"groups"}}
}

// browse is what a person's browser does, and what it is shown.
func browse(t *testing.T, address string) (int, string) {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestPeopleLogInInABrowser(t *testing.T) {
	is := newIssuer(t)
	is.lets(t, false)
	login := is.login(t)
	token, err := login.ByBrowser(t.Context(), func(address string) {
		asked, _ := url.Parse(address)
		back := asked.Query().Get("redirect_uri")
		if !strings.HasPrefix(back, "http://127.0.0.1:") {
			t.Errorf("the browser is sent back to %s", back)
		}
		if code, _ := browse(t, back+"?code=stolen&state=guessed"); code != http.StatusBadRequest {
			t.Errorf("another login's answer gets %d", code)
		}
		if code, text := browse(t, address); code != http.StatusOK || !strings.Contains(text, "can be closed") {
			t.Errorf("the browser is shown %d %s", code, text)
		}
		if code, _ := browse(t, back+"?code=second&state="+asked.Query().Get("state")); code == http.StatusOK {
			t.Error("an answer is taken twice")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := login.Judge(t.Context(), token, time.Now()); err != nil || got.User != "alice" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestTokenOfAnotherLoginIsRefused(t *testing.T) {
	is := newIssuer(t)
	is.lets(t, true)
	_, err := is.login(t).ByBrowser(t.Context(), func(address string) { browse(t, address) })
	if fleet.CodeOf(err) != fleet.CodeUnauthenticated || !strings.Contains(err.Error(), "another login") {
		t.Errorf("got %v", err)
	}
}

func TestProviderThatLetsNobodyInIsQuoted(t *testing.T) {
	is := newIssuer(t)
	is.mux.HandleFunc("/auth", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		http.Redirect(w, r, q.Get("redirect_uri")+"?error=access_denied&error_description=not+you&state="+q.Get("state"), http.StatusFound)
	})
	_, err := is.login(t).ByBrowser(t.Context(), func(address string) { browse(t, address) })
	if err == nil || !strings.Contains(err.Error(), `"access_denied" "not you"`) {
		t.Errorf("got %v", err)
	}
}

func TestPeopleLogInOnAnotherDevice(t *testing.T) {
	is := newIssuer(t)
	is.lets(t, false)
	login := is.login(t)
	shown := ""
	token, err := login.ByDevice(t.Context(), func(address, code string) { shown = address + " " + code })
	if err != nil || shown != "https://id.example.org/device ABCD-EFGH" {
		t.Fatalf("shown %q, %v", shown, err)
	}
	if got, err := login.Judge(t.Context(), token, time.Now()); err != nil || got.User != "alice" {
		t.Errorf("got %+v, %v", got, err)
	}
}
