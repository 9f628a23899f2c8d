package cli

import (
	"net/http"
	"testing"
)

func TestRebuildSaysWhatTheInstanceIsMadeOf(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		body string
	}{
		"as it was": {[]string{"web"}, `{}`},
		"all of it": {
			[]string{
				"web", "--image", "debian-12", "--hostname", "db", "--user-data", file(t, "#cloud-config\n"),
				"--ssh-key", file(t, "ssh-ed25519 AAAA me\n"), "--network-config", file(t, "version: 2\n"),
			},
			`{"image":"debian-12","hostname":"db","user_data":"#cloud-config\n","ssh_keys":["ssh-ed25519 AAAA me"],"network_config":"version: 2\n"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := fleetNode(t)
			accepting(n, "POST /v1/instances/{id}/rebuild", theInstances().Items[0])
			run(t, n.URL, append([]string{"instance", "rebuild"}, c.args...)...).wants(t, 0, "rebuild web", "")
			if sent := n.requests(http.MethodPost); len(sent) != 1 || sent[0].Body != c.body {
				t.Errorf("sent %+v, want the body %s", sent, c.body)
			}
		})
	}
}

func TestRebuildIsSentAgainWithItsKeyWhenItsAnswerIsLost(t *testing.T) {
	n := fleetNode(t)
	var keys []string
	n.mux.HandleFunc("POST /v1/instances/{id}/rebuild", func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		if len(keys) == 1 {
			panic(http.ErrAbortHandler) // it was done, and nobody heard of it
		}
		reply(w, http.StatusAccepted, map[string]any{"instance": theInstances().Items[0]})
	})
	run(t, n.URL, "instance", "rebuild", "web").wants(t, 0, "rebuild web", "")
	if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
		t.Errorf("sent with the keys %q, want one key twice", keys)
	}
}
