package xenlab

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
)

// wake bounds how long the saved host may take until its libvirt answers; a
// machine with nothing else to do needs two seconds.
const wake = 5 * time.Minute

// Host is a Xen host that runs for one test.
type Host struct {
	dir     string // of the saved host
	libvirt string // address of libvirt on loopback
	sshPort string // port of the SSH server on loopback
}

// Start starts the saved host and returns when its libvirt answers. It ends
// with the test.
func Start(tb testing.TB) *Host {
	tb.Helper()
	h := &Host{dir: find(tb)}
	began := time.Now()
	ctx, cancel := context.WithTimeout(tb.Context(), wake)
	defer cancel()
	m := boot(tb, h.dir)
	if err := m.resume(ctx); err != nil {
		tb.Fatalf("wake the Xen host: %v", err)
	}
	ports, err := m.ports(ctx)
	if err != nil {
		tb.Fatalf("find the Xen host's ports: %v", err)
	}
	h.sshPort = strconv.Itoa(ports[22])
	h.libvirt = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[16509]))
	if err := h.answers(ctx); err != nil {
		tb.Fatalf("wait for the Xen host's libvirt: %v", err)
	}
	tb.Logf("the Xen host's libvirt answers after %.1f s", time.Since(began).Seconds())
	return h
}

// Dial connects to the host's libvirtd, which asks nobody who he is; for one
// RPC client. The driver behind it is xen:///system.
func (h *Host) Dial() (net.Conn, error) {
	return net.DialTimeout("tcp", h.libvirt, wake) //nolint:noctx // go-libvirt's Dialer has none
}

// answers waits for libvirt's first answer. QEMU takes connections for a host
// that is not yet awake, so that there is nothing to try again.
func (h *Host) answers(ctx context.Context) error {
	conn, err := h.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	l := golibvirt.NewWithDialer(opened{conn})
	if err := l.ConnectToURI("xen:///system"); err != nil {
		return errors.Join(ctx.Err(), err)
	}
	return l.Disconnect()
}

// opened is go-libvirt's Dialer for a connection that is there.
type opened struct{ net.Conn }

func (o opened) Dial() (net.Conn, error) { return o.Conn, nil }
