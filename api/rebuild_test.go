package api

import (
	"net/http"
	"strings"
	"testing"

	"grapevine/fleet"
)

func TestRebuildPassesOnWhatWasAskedAndItsKey(t *testing.T) {
	core := full()
	var got fleet.Rebuild
	var key string
	core.rebuild = func(_ fleet.InstanceID, ask fleet.Rebuild, k string) (fleet.Accepted, error) {
		got, key = ask, k
		return acceptedNow, nil
	}
	r := do(t, core, request{
		method: "POST", target: "/v1/instances/" + instanceText + "/rebuild", header: map[string]string{"Idempotency-Key": "again-1"},
		body: `{"image":"debian","user_data":"#cloud-config\n","ssh_keys":["ssh-ed25519 AAAA me"]}`,
	})
	if r.Code != http.StatusAccepted || key != "again-1" || got.Image != "debian" || got.UserData != "#cloud-config\n" || len(got.SSHKeys) != 1 {
		t.Errorf("answer %d, asked for %+v with key %q", r.Code, got, key)
	}
}

func TestRebuildThatIsNoneIsRefused(t *testing.T) {
	for name, c := range map[string]request{
		"a host name that is none": {body: `{"hostname":"web_1"}`},
		"a private key":            {body: `{"ssh_keys":["-----BEGIN PRIVATE KEY----- x"]}`},
		"a field that is not":      {body: `{"flavor":"small"}`},
		"a key that is too long":   {body: `{}`, header: map[string]string{"Idempotency-Key": strings.Repeat("k", 500)}},
	} {
		t.Run(name, func(t *testing.T) {
			c.method, c.target = "POST", "/v1/instances/"+instanceText+"/rebuild"
			if p := problemIn(t, do(t, full(), c)); p.Status < 400 || p.Status > 499 {
				t.Errorf("got %+v, want a refusal", p)
			}
		})
	}
}
