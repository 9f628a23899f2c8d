package sockets

import (
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
)

func TestPortInUseNamesTheKeyToChange(t *testing.T) {
	l, err := Listen("listen", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen("listen", l.Addr().String())
	if err == nil || !strings.Contains(err.Error(), "in use") || !strings.Contains(err.Error(), "set listen") {
		t.Errorf("got %v, want to be told that it is in use and which key to set", err)
	}
}

func TestSocketOfADeadProcessIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "agent.sock")
	dead, err := ListenUnix("socket", path, "no-such-group")
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the test left no socket behind: %v", err)
	}
	l, err := ListenUnix("socket", path, "no-such-group")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := ListenUnix("socket", path, "no-such-group"); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("got %v, want to be told that a living process serves it", err)
	}
}

func TestSocketIsClosedToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.sock")
	l, err := ListenUnix("socket", path, "no-such-group")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("got mode %o, want 600 where the group does not exist", mode)
	}
}

func TestFolderThatIsMadeIsTheGroupsToo(t *testing.T) {
	current, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	own, err := user.LookupGroupId(current.Gid)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "run", "agent.sock")
	l, err := ListenUnix("socket", path, own.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for file, want := range map[string]os.FileMode{path: 0o660, filepath.Dir(path): 0o750} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %o, want %o", filepath.Base(file), got, want)
		}
	}
}
