package rawudp

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// open returns a socket on one of this machine's loopback addresses, wrapped,
// and the address at which others reach it.
func open(t *testing.T, bind, at string) (Conn, netip.AddrPort) {
	t.Helper()
	plain, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(bind), 0)))
	if errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Skipf("this machine has no address %s", bind)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { plain.Close() })
	return Wrap(plain), netip.AddrPortFrom(netip.MustParseAddr(at), plain.LocalAddr().(*net.UDPAddr).AddrPort().Port())
}

func TestPacketsComeWholeWithTheirSender(t *testing.T) {
	for name, c := range map[string]struct{ bind, at string }{
		"IPv4":                      {"127.0.0.1", "127.0.0.1"},
		"IPv6":                      {"::1", "::1"},
		"all addresses, by IPv4":    {"0.0.0.0", "127.0.0.1"},
		"all addresses, by IPv6":    {"::", "::1"},
		"a mapped address is IPv4":  {"127.0.0.1", "::ffff:127.0.0.1"},
		"a mapped address at a six": {"::", "::ffff:127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			a, from := open(t, c.bind, c.at)
			b, to := open(t, c.bind, c.at)
			for _, want := range [][]byte{bytes.Repeat([]byte("grapevine"), 1000), {}, {1}} {
				if n, err := a.WriteToUDPAddrPort(want, to); n != len(want) || err != nil {
					t.Fatalf("wrote %d of %d bytes: %v", n, len(want), err)
				}
				buf := make([]byte, 64<<10)
				n, sender, err := b.ReadFromUDPAddrPort(buf)
				if err != nil || !bytes.Equal(buf[:n], want) {
					t.Errorf("got %d bytes of %d, or others, %v", n, len(want), err)
				}
				if sender.Addr().Unmap() != from.Addr().Unmap() || sender.Port() != from.Port() {
					t.Errorf("came from %v, want %v", sender, from)
				}
			}
		})
	}
}

func TestManySendAtATimeAndEachPacketGoesWhereItShould(t *testing.T) {
	const senders, packets = 8, 100
	from, _ := open(t, "127.0.0.1", "127.0.0.1")
	var work sync.WaitGroup
	defer work.Wait()
	for i := range byte(senders) {
		socket, to := open(t, "127.0.0.1", "127.0.0.1")
		work.Go(func() {
			for range packets { // sent and read by turns: none is lost for want of room
				if _, err := from.WriteToUDPAddrPort([]byte{i}, to); err != nil {
					t.Error(err)
					return
				}
				var buf [2]byte
				if n, _, err := socket.ReadFromUDPAddrPort(buf[:]); err != nil || n != 1 || buf[0] != i {
					t.Errorf("got % x, %v, want %x", buf[:n], err, i)
					return
				}
			}
		})
	}
}

func TestDeadlineAndCloseEndARead(t *testing.T) {
	a, _ := open(t, "127.0.0.1", "127.0.0.1")
	if err := a.(interface{ SetReadDeadline(time.Time) error }).SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.ReadFromUDPAddrPort(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read after the deadline: %v", err)
	}
	b, to := open(t, "127.0.0.1", "127.0.0.1")
	ended := make(chan error, 1)
	go func() {
		_, _, err := b.ReadFromUDPAddrPort(make([]byte, 1))
		ended <- err
	}()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read at the close: %v, want %v", err, net.ErrClosed)
	}
	if _, err := b.WriteToUDPAddrPort([]byte{1}, to); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it: %v", err)
	}
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	a, to := open(t, "127.0.0.1", "127.0.0.1")
	_, err := a.WriteToUDPAddrPort(make([]byte, 64<<10), to) // more than fits into a packet
	var op *net.OpError
	if !errors.Is(err, syscall.EMSGSIZE) || !errors.As(err, &op) || op.Op != "write" || op.Net != "udp" {
		t.Errorf("a packet too large: %v", err)
	}
	six := netip.AddrPortFrom(netip.MustParseAddr("::1"), to.Port())
	if _, err := a.WriteToUDPAddrPort([]byte{1}, six); !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("a packet from IPv4 to IPv6: %v", err)
	}
	if _, err := a.WriteToUDPAddrPort([]byte{1}, netip.AddrPort{}); !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("a packet to nowhere: %v", err)
	}
}
