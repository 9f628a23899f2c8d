// Package frontend builds the example of docs/front-ends.md, which is a module of
// its own, and has it serve a fleet.
package frontend

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// example builds the module in a folder of its own, with what this one needs.
func example(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"go.mod", "main.go"} {
		copyFile(t, filepath.Join(root, "docs/front-ends", name), filepath.Join(dir, name), "=> ../..", "=> "+root)
	}
	copyFile(t, filepath.Join(root, "go.sum"), filepath.Join(dir, "go.sum"), "", "")
	build := exec.CommandContext(t.Context(), "go", "build", "-mod=mod", "-trimpath", "-o", "names", ".")
	build.Dir = dir
	build.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return filepath.Join(dir, "names")
}

func copyFile(t *testing.T, from, to, old, with string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if old != "" {
		text = []byte(strings.Replace(string(text), old, with, 1))
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

var addressSaid = regexp.MustCompile(`the API is at (http://\S+)`)

// serve runs the fleet of the example until the test ends, and returns its address.
func serve(t *testing.T, program string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "dev", "--hosts", "1", "--listen", "127.0.0.1:0")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Wait() }) // the test's end interrupts it
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := addressSaid.FindStringSubmatch(lines.Text()); m != nil {
			go func() { _, _ = io.Copy(io.Discard, out) }() // until it ends
			return m[1]
		}
	}
	t.Fatal("it ended before it was ready")
	return ""
}

func said(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

func TestAFrontEndOfAnotherModuleServesAFleet(t *testing.T) {
	address := serve(t, example(t))
	c, err := client.New(address, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	made, err := c.CreateInstance(ctx, fleet.Create{Name: "web", Flavor: "tiny", Image: "tiny"}, client.CreateOptions{Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if status, text := said(t, http.MethodGet, address+"/names"); status != http.StatusOK || !strings.Contains(text, "web running\n") {
		t.Errorf("%d %q", status, text)
	}
	if status, text := said(t, http.MethodPost, address+"/names?stop=web"); status != http.StatusOK {
		t.Errorf("%d %q", status, text)
	}
	if status, text := said(t, http.MethodPost, address+"/names?stop=nothing"); status != http.StatusNotFound || !strings.Contains(text, "no instance") {
		t.Errorf("%d %q", status, text)
	}
	for {
		row, err := c.Instance(ctx, made.Instance.ID)
		if err != nil {
			t.Fatal(err)
		}
		if row.Power == fleet.PowerStopped {
			break
		}
	}
}
