package openstack

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"grapevine/api"
	"grapevine/dev"
	frontend "grapevine/registry/openstack"
)

// within bounds what a client may take.
const within = 2 * time.Minute

// address is where the fleet of all tests is served.
var address string

func TestMain(m *testing.M) { os.Exit(withFleet(m.Run)) }

// withFleet has a fleet of six hosts live while the tests run.
func withFleet(run func() int) int {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	f, err := dev.New(ctx, dev.Config{Hosts: 6, Listen: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler), FrontEnds: []api.FrontEnd{frontend.FrontEnd()}})
	if err != nil {
		panic(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	select {
	case err := <-ended:
		panic(err)
	case <-f.Ready():
	}
	address = "http://" + f.Addr()
	code := run()
	end()
	if err := <-ended; err != nil {
		panic(err)
	}
	return code
}

// person is somebody at the openstack command.
type person struct{ user, project, password string }

var (
	member = person{dev.Member, dev.Project, dev.Password}
	admin  = person{dev.Admin, "default", dev.Password}
)

// try runs the openstack command, and returns what it printed and its error, in
// which is what it complained of.
func (p person) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	cmd := exec.CommandContext(ctx, "openstack", args...)
	cmd.Env = append(os.Environ(), "OS_AUTH_URL="+address+"/identity/v3", "OS_IDENTITY_API_VERSION=3", "OS_USERNAME="+p.user, "OS_PASSWORD="+p.password,
		"OS_PROJECT_NAME="+p.project, "OS_USER_DOMAIN_NAME=Default", "OS_PROJECT_DOMAIN_NAME=Default", "HOME="+t.TempDir())
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return string(out), errors.New(complaint.String() + err.Error())
	}
	return string(out), nil
}

// run is try where nothing may go wrong.
func (p person) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.try(t, args...)
	if err != nil {
		t.Fatalf("openstack %s: %v", strings.Join(args, " "), err)
	}
	return out
}

// one runs a command that shows one thing.
func (p person) one(t *testing.T, args ...string) map[string]any {
	t.Helper()
	return read[map[string]any](t, p.run(t, append(args, "-f", "json")...))
}

// list runs a command that lists things.
func (p person) list(t *testing.T, args ...string) []map[string]any {
	t.Helper()
	return read[[]map[string]any](t, p.run(t, append(args, "-f", "json")...))
}

func read[T any](t *testing.T, text string) (out T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// refused runs a command that has to fail with this in its complaint.
func (p person) refused(t *testing.T, want string, args ...string) {
	t.Helper()
	out, err := p.try(t, args...)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("openstack %s: %v, want %q; it printed %s", strings.Join(args, " "), err, want, out)
	}
}

// names are those of the things in a list, sorted as they came.
func names(rows []map[string]any, column string) (out []string) {
	for _, row := range rows {
		text, _ := row[column].(string)
		out = append(out, text)
	}
	return out
}

// needed skips, but in CI, where a client is not installed.
func needed(t *testing.T, command string) {
	t.Helper()
	if _, err := exec.LookPath(command); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed; scripts/setup-test-host installs it", command)
	}
	t.Skipf("%s is not installed; scripts/setup-test-host installs it", command)
}
