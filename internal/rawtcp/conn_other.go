//go:build !linux

package rawtcp

import "net"

// Wrap returns conn as it is.
func Wrap(c net.Conn) net.Conn { return c }
