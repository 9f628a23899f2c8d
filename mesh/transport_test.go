package mesh

import (
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

func bindForTest(t *testing.T) (*gossipTransport, string) {
	t.Helper()
	x, bound, err := bindGossip("127.0.0.1:0", newSerfLog(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Shutdown() })
	return x, bound
}

func TestPacketsAndStreamsArriveBetweenTransports(t *testing.T) {
	a, from := bindForTest(t)
	b, to := bindForTest(t)
	before := time.Now()
	for _, want := range []string{"one", "two"} {
		if _, err := a.WriteTo([]byte(want), to); err != nil {
			t.Fatal(err)
		}
		p := <-b.PacketCh()
		if string(p.Buf) != want || p.From.String() != from || p.Timestamp.Before(before) {
			t.Errorf("got %q from %s at %v, want %q from %s", p.Buf, p.From, p.Timestamp, want, from)
		}
	}
	_, port, err := net.SplitHostPort(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.WriteTo([]byte("by name"), net.JoinHostPort("localhost", port)); err != nil {
		t.Errorf("a packet to a name: %v", err)
	} else if p := <-b.PacketCh(); string(p.Buf) != "by name" {
		t.Errorf("got %q", p.Buf)
	}
	conn, err := a.DialAddressTimeout(memberlist.Address{Addr: to}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	accepted := <-b.StreamCh()
	defer accepted.Close()
	if accepted.RemoteAddr().String() != conn.LocalAddr().String() {
		t.Errorf("the stream came from %s, want %s", accepted.RemoteAddr(), conn.LocalAddr())
	}
}

// A packet that nobody takes must not hold up the end, and one that was
// handed over stays as it is.
func TestShutdownWaitsForNobodyAndPacketsStay(t *testing.T) {
	a, _ := bindForTest(t)
	b, to := bindForTest(t)
	for _, text := range []string{"first", "other", "third"} {
		if _, err := a.WriteTo([]byte(text), to); err != nil {
			t.Fatal(err)
		}
	}
	first := <-b.PacketCh()
	if second := <-b.PacketCh(); string(first.Buf) != "first" || string(second.Buf) != "other" {
		t.Errorf("got %q and %q", first.Buf, second.Buf)
	}
	if err := b.Shutdown(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.DialTimeout(to, time.Minute); err == nil {
		t.Error("it dials after its end")
	}
	if _, err := b.WriteTo([]byte{1}, to); err == nil {
		t.Error("it sends after its end")
	}
}

func TestAdvertisedAddressIsTheBoundOneWhereThatIsOne(t *testing.T) {
	x, bound := bindForTest(t)
	ip, port, err := x.FinalAdvertiseAddr("", 0)
	if got := (&net.TCPAddr{IP: ip, Port: port}).String(); got != bound || err != nil {
		t.Errorf("got %s, %v, want %s", got, err, bound)
	}
	ip, port, err = x.FinalAdvertiseAddr("192.0.2.7", 99)
	if ip.String() != "192.0.2.7" || port != 99 || err != nil {
		t.Errorf("got %s, %d, %v, want what is configured", ip, port, err)
	}
	if _, _, err := x.FinalAdvertiseAddr("nonsense", 1); err == nil {
		t.Error("nonsense was advertised")
	}
}
