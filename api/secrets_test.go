package api

import (
	"strings"
	"testing"
)

// Who sends a secret in the wrong shape or place is told so without it.
func TestErrorsDoNotRepeatASecretOfTheWrongShape(t *testing.T) {
	handler := NewHandler(full(), testOptions(full()))
	for _, target := range []string{"/v1/tokens", "/v1/join"} {
		for _, body := range []string{
			`{"user":"alice","password":41424}`, `{"password":true,"user":41424}`, `{"api_key":41424}`, `{"token":41424}`,
			`"hunter41424"`, `41424`, `{"user":"alice","pasword":"hunter41424"}`, `{"user":"alice","password":["hunter41424"]}`,
			`{"user":["hunter41424"],"password":"x"}`, `hunter41424`,
		} {
			r := doWith(t, handler, request{method: "POST", target: target, body: body})
			if r.Code < 400 || r.Code >= 500 {
				t.Errorf("%s %s: %d %s", target, body, r.Code, r.Body)
			}
			if strings.Contains(r.Body.String(), "41424") {
				t.Errorf("%s %s: the answer repeats it: %s", target, body, r.Body)
			}
		}
	}
}
