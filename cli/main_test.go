package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"grapevine/internal/buildinfo"
)

func TestExitCodesAndSentences(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     []string
		code     int
		out, err string
	}{
		{"nothing explains itself", nil, 0, "Available Commands:", ""},
		{"a group explains itself", []string{"mesh"}, 0, "members", ""},
		{"unknown command", []string{"hots"}, 2, "", `grapevine: unknown command "hots"; did you mean host?; see: grapevine --help`},
		{"unknown verb", []string{"host", "destroy"}, 2, "", `grapevine: unknown command "destroy"; see: grapevine host --help`},
		{"missing argument", []string{"host", "show"}, 2, "", "grapevine: HOST is missing; see: grapevine host show --help"},
		{"too many", []string{"host", "show", "a", "b"}, 2, "", `unexpected argument "b"`},
		{"format", []string{"host", "list", "-o", "xml"}, 2, "", `"xml" is not one of table, json, yaml`},
		{"version", []string{"version"}, 0, "grapevine " + buildinfo.Get().String(), ""},
		{"completion", []string{"completion", "bash"}, 0, "__start_grapevine", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := runWith(t, nil, c.args...)
			r.wants(t, c.code, c.out, c.err)
			if c.code == 2 && strings.Count(r.err, "\n") != 1 {
				t.Errorf("got %q, want one line", r.err)
			}
		})
	}
}

func TestVersionForPrograms(t *testing.T) {
	var got buildinfo.Info
	r := runWith(t, nil, "version", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got != buildinfo.Get() {
		t.Errorf("got %+v, %v; want %+v", got, err, buildinfo.Get())
	}
}

func TestInterruptedIsNoStackOfErrors(t *testing.T) {
	n := fleetNode(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	code := Main(ctx, []string{"host", "list", "--addr", n.URL}, strings.NewReader(""), &out, &errOut)
	if code != 1 || errOut.String() != "grapevine: interrupted\n" {
		t.Errorf("got %d, %q", code, errOut.String())
	}
}
