// Package sockets binds the sockets of a daemon, and says in one sentence what
// is wrong when that fails.
package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"grapevine/internal/rawtcp"
)

// Listen binds a TCP address. Key is what the operator set it with.
func Listen(key, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address) //nolint:noctx // binding a socket does not block
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: the port is in use; stop the other process or set %s to another address: %w", address, key, err)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; set %s to an address of this machine", address, err, key)
	}
	return rawtcp.Listener{Listener: l}, nil
}

// ListenUnix binds a unix socket for its owner and one group, where that group
// exists. A socket that a dead process left is replaced; a living one is not.
func ListenUnix(key, path, group string) (net.Listener, error) {
	if err := makeFolder(filepath.Dir(path), group); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", key, err)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil { //nolint:noctx // a local socket answers at once
		_ = conn.Close()
		return nil, fmt.Errorf("listen on %s: another process serves it; stop that, or set %s to another path", path, key)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the %s of an earlier run: %w", key, err)
	}
	l, err := net.Listen("unix", path) //nolint:noctx // binding a socket does not block
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	mode := os.FileMode(0o600)
	if give(path, group) {
		mode = 0o660
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// makeFolder makes the socket's folder for the group too; one that is there is
// left as it is.
func makeFolder(path, group string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	give(path, group)
	return nil
}

// give hands a file to the group, and reports whether there is such a group
// and this process may.
func give(path, group string) bool {
	g, err := user.LookupGroup(group)
	if err != nil {
		return false
	}
	gid, err := strconv.Atoi(g.Gid)
	return err == nil && os.Chown(path, -1, gid) == nil
}
