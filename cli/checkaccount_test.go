package cli

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"grapevine/internal/buildinfo"
)

// stranger is a user who owns nothing and is in no group of ours.
func stranger(groups ...string) *unixUser {
	return &unixUser{name: "grapevine", uid: 54321, gids: []int{54321}, groups: groups}
}

// Certificates that root issued and nobody handed over are the usual reason
// why a new agent does not start.
func TestDoctorSeesWithTheDaemonsEyes(t *testing.T) {
	p := healthy(t)
	open := func(mode os.FileMode, paths ...string) {
		t.Helper()
		for _, path := range paths {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	dir := filepath.Dir(p.files.Key)
	for way := dir; len(way) > len(os.TempDir()); way = filepath.Dir(way) {
		open(0o755, way)
	}
	p.account = stranger()
	f := examined(t, p, "account_files", "", time.Now())
	if f.Severity != levelError || !strings.Contains(f.Detail, "grapevine") || f.Fix != "chown -R grapevine: "+dir {
		t.Errorf("of files of its own user: %+v", f)
	}
	open(0o644, p.files.CA, p.files.Cert, p.files.Key, p.gossipKey)
	if f := examined(t, p, "account_files", "", time.Now()); f.Severity != levelOK {
		t.Errorf("of files that are open: %+v", f)
	}
	open(0o600, p.files.Key)
	open(0o640, p.files.Key)
	p.account.gids = append(p.account.gids, os.Getgid())
	if f := examined(t, p, "account_files", "", time.Now()); f.Severity != levelOK {
		t.Errorf("of a key that its group may read: %+v", f)
	}
	p.account = stranger()
	open(0o700, dir)
	if f := examined(t, p, "account_files", "", time.Now()); f.Severity != levelError || !strings.Contains(f.Fix, "chgrp grapevine "+dir) {
		t.Errorf("of a folder that is closed: %+v", f)
	}
	open(0o755, dir)
}

func TestDoctorWantsTheAgentInLibvirtsGroup(t *testing.T) {
	p := healthy(t)
	p.account, p.groups = stranger("grapevine"), []string{"libvirt"}
	if f := examined(t, p, "account_groups", "", time.Now()); f.Severity != levelError || !strings.Contains(f.Fix, "usermod --append --groups libvirt grapevine") {
		t.Errorf("got %+v", f)
	}
	p.account = stranger("grapevine", "libvirt")
	if f := examined(t, p, "account_groups", "", time.Now()); f.Severity != levelOK {
		t.Errorf("got %+v", f)
	}
	p.socketGroup = "nobody-has-this-group"
	if f := examined(t, p, "socket_group", "", time.Now()); f.Severity != levelWarning || f.Fix == "" {
		t.Errorf("got %+v", f)
	}
	group, err := user.LookupGroupId(strconv.Itoa(os.Getgid()))
	if err != nil {
		t.Fatal(err)
	}
	p.socketGroup = group.Name
	if f := examined(t, p, "socket_group", "", time.Now()); f.Severity != levelOK {
		t.Errorf("got %+v", f)
	}
}

func TestDoctorJudgesRoom(t *testing.T) {
	for _, c := range []struct {
		free, files, of int64
		want            string
	}{
		{10 << 30, 1 << 20, 1 << 20, "ok"},
		{10 << 30, 0, 0, "ok"},
		{500 << 20, 1 << 20, 1 << 20, "warning"},
		{1 << 20, 1 << 20, 1 << 20, "error"},
		{10 << 30, 3, 1 << 20, "error"},
	} {
		f := roomFinding("/var/lib/grapevine", c.free, c.files, c.of)
		if string(f.Severity) != c.want || (f.Fix == "") != (c.want == "ok") {
			t.Errorf("of %d bytes and %d files: %+v, want %s", c.free, c.files, f, c.want)
		}
	}
}

func TestDoctorComparesWhatRunsWithWhatIsInstalled(t *testing.T) {
	says := func(version string, err error) func(context.Context) (string, error) {
		return func(context.Context) (string, error) { return version, err }
	}
	if f := checkVersion(t.Context(), says(buildinfo.Version(), nil)); f.Severity != levelOK {
		t.Errorf("got %+v", f)
	}
	if f := checkVersion(t.Context(), says("v0.0.0", nil)); f.Severity != levelWarning || !strings.Contains(f.Fix, "restart") || !strings.Contains(f.Detail, "v0.0.0 runs") {
		t.Errorf("got %+v", f)
	}
	if f := checkVersion(t.Context(), says("", errors.New("it is gone"))); f.Severity != levelWarning || f.Fix == "" {
		t.Errorf("got %+v", f)
	}
}

// What a package brings is not what somebody has set up.
func TestDoctorPassesOverADaemonThatOnlyAPackageBrought(t *testing.T) {
	example := write(t, "registry.toml", printed(t, "registry", "--example-config"))
	p := healthy(t)
	p.config = example
	if idle(p) {
		t.Error("a daemon with a certificate is taken for one that nobody has set up")
	}
	p.files.Cert = filepath.Join(t.TempDir(), "none.pem")
	if !idle(p) {
		t.Error("a daemon without a certificate and a configuration is to be examined")
	}
	p.config = write(t, "registry.toml", "# mine\njoin = [\"a\"]\n")
	if idle(p) {
		t.Error("a daemon that somebody has configured is passed over")
	}
}
