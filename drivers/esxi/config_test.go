package esxi

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNewReadsAddresses(t *testing.T) {
	for in, want := range map[string]string{
		"esx1":                    "https://esx1/sdk",
		"10.0.0.5:8443":           "https://10.0.0.5:8443/sdk",
		"https://esx1":            "https://esx1/sdk",
		"https://esx1/":           "https://esx1/sdk",
		"https://[2001:db8::1]/x": "https://[2001:db8::1]/x",
	} {
		d, err := New(Config{URL: in, User: "root", Password: "p"})
		if err != nil || d.url.String() != want {
			t.Errorf("%q: got %v, %v; want %s", in, d, err, want)
		}
	}
}

func TestBadConfigIsRefusedWithoutShowingSecrets(t *testing.T) {
	const secret = "hunter2"
	for name, c := range map[string]Config{
		"no url":      {User: "root", Password: secret},
		"no user":     {URL: "esx1", Password: secret},
		"no password": {URL: "esx1", User: "root"},
		"credentials": {URL: "https://root:" + secret + "@esx1/sdk", User: "root", Password: secret},
		"http":        {URL: "http://esx1/sdk", User: "root", Password: secret},
		"broken":      {URL: "https://root:" + secret + "@esx1:port/sdk", User: "root", Password: secret},
	} {
		if _, err := New(c); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: got %v; want a refusal without the password", name, err)
		}
	}
}

func TestConfigNeverPrintsItsPassword(t *testing.T) {
	const secret = "hunter2"
	c := Config{URL: "esx1", User: "root", Password: secret}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "esxi", c)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), log.String()} {
		if strings.Contains(text, secret) {
			t.Errorf("the password is in %q", text)
		}
	}
}
