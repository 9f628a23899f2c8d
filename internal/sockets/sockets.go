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
	return l, nil
}

// ListenUnix binds a unix socket for its owner and one group, where that group
// exists. A socket that a dead process left is replaced; a living one is not.
func ListenUnix(key, path, group string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
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
	if err := share(path, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// share opens the socket to the group. Where there is no such group, or it may
// not be given the socket, the owner alone has it.
func share(path, group string) error {
	g, err := user.LookupGroup(group)
	if err == nil {
		gid, numeric := strconv.Atoi(g.Gid)
		if numeric == nil && os.Chown(path, -1, gid) == nil {
			return os.Chmod(path, 0o660)
		}
	}
	return os.Chmod(path, 0o600)
}
