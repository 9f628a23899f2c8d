package fleet

import (
	"strings"
	"testing"
)

func TestGuestIsJudgedWithoutBeingRepeated(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKqI someone"
	for name, c := range map[string]struct {
		guest Guest
		want  string // in the error; empty for none
	}{
		"nothing":            {Guest{}, ""},
		"all":                {Guest{Hostname: "web-1.example.org", UserData: "#cloud-config\n", SSHKeys: []string{key}, NetworkConfig: "version: 2\n"}, ""},
		"hostname with _":    {Guest{Hostname: "web_1"}, "hostname"},
		"hostname ends in -": {Guest{Hostname: "web-"}, "hostname"},
		"hostname too long":  {Guest{Hostname: strings.Repeat("a", 65)}, "65 bytes"},
		"empty label":        {Guest{Hostname: "web..org"}, "hostname"},
		"two lines of keys":  {Guest{SSHKeys: []string{key + "\n" + key}}, "ssh key 1"},
		"a key's half":       {Guest{SSHKeys: []string{key, "ssh-ed25519"}}, "ssh key 2"},
		"a private key":      {Guest{SSHKeys: []string{"-----BEGIN OPENSSH PRIVATE KEY----- secret"}}, "private key"},
		"too much":           {Guest{UserData: strings.Repeat("secret ", MaxGuestBytes/7+1)}, "at most"},
		"gzip":               {Guest{UserData: "\x1f\x8b\x08secret"}, "UTF-8"},
		"zero":               {Guest{UserData: "#!/bin/sh\x00secret"}, "zero"},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.guest.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error with %q", err, c.want)
			case err != nil && strings.Contains(err.Error(), "secret"):
				t.Errorf("the error repeats what was sent: %v", err)
			}
		})
	}
}

func TestHostnameOfAnyNameIsOne(t *testing.T) {
	for name, want := range map[string]string{
		"web": "web", "Web 1": "web-1", "über_host": "ber-host", "日本": "", "-a-": "a", strings.Repeat("x", 80): strings.Repeat("x", 63),
	} {
		if got := HostnameOf(name); got != want {
			t.Errorf("HostnameOf(%q) = %q, want %q", name, got, want)
		}
	}
}
