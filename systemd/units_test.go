package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/internal/leaveout"
	"grapevine/test/built"
)

// maxExposure is systemd's own score of a unit, times ten: 20 is 2.0 of 10,
// "OK" begins at 5.0.
const maxExposure = "20"

// daemons are the units that run grapevine.
const daemons = "grapevine-[ar]*.service"

// installed copies the units to a temporary folder with the built binary as
// their ExecStart, and returns the copies' paths.
func installed(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		leaveout.Test(t, "systemd-analyze is not installed, the units were not checked; on Debian it is in the package systemd")
	}
	dir := t.TempDir()
	binary, err := built.Binary(dir)
	if err != nil {
		t.Fatal(err)
	}
	units, err := filepath.Glob(daemons)
	if err != nil || len(units) != 3 {
		t.Fatalf("got units %v, %v; want three", units, err)
	}
	var copies []string
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.Replace(unit, "@.", "@example.", 1)
		copied := strings.Replace(string(text), "ExecStart=/usr/local/bin/grapevine ", "ExecStart="+binary+" ", 1)
		if copied == string(text) {
			t.Fatalf("%s does not start /usr/local/bin/grapevine", unit)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(copied), 0o600); err != nil {
			t.Fatal(err)
		}
		copies = append(copies, path)
	}
	return copies
}

func TestUnitsAreWellFormedAndHardened(t *testing.T) {
	for _, unit := range installed(t) {
		t.Run(filepath.Base(unit), func(t *testing.T) { wellFormedAndHardened(t, unit) })
	}
}

// The bound of console logs is kept by logrotate, which need not be here.
func TestConsoleBoundIsWellFormedAndHardened(t *testing.T) {
	dir := filepath.Dir(installed(t)[0])
	for _, name := range []string{"grapevine-xen-consoles.service", "grapevine-xen-consoles.timer"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		runs := strings.Replace(string(text), "ExecStart=/usr/sbin/logrotate ", "ExecStart=/bin/true ", 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(runs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wellFormedAndHardened(t, filepath.Join(dir, "grapevine-xen-consoles.service"))
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", filepath.Join(dir, "grapevine-xen-consoles.timer")).CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Errorf("verify the timer: %v\n%s", err, out)
	}
}

func wellFormedAndHardened(t *testing.T, unit string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", unit).CombinedOutput()
	if err != nil || strings.Contains(string(out), filepath.Base(unit)+":") {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err = exec.CommandContext(t.Context(), "systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold="+maxExposure, unit).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}

func TestEveryUnitNotifiesAndIsWatched(t *testing.T) {
	units, err := filepath.Glob(daemons)
	if err != nil {
		t.Fatal(err)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"Type=notify", "WatchdogSec=30s", "User=grapevine", "Restart=on-failure", "CapabilityBoundingSet="} {
			if !strings.Contains(string(text), "\n"+line+"\n") {
				t.Errorf("%s has no line %q", unit, line)
			}
		}
	}
}
