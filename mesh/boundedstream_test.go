package mesh

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"grapevine/fleet"
)

// Whoever opens streams and says nothing is refused further ones, until some
// have ended; one that brings more than a fleet's members take is cut.
func TestGossipStreamsOfOneAddressAreBounded(t *testing.T) {
	x, to := bindForTest(t)
	dial := func() net.Conn {
		conn, err := x.DialAddressTimeout(memberlist.Address{Addr: to}, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	taken := make([]net.Conn, fleet.MaxGossipStreamsEach)
	for i := range taken {
		dial()
		taken[i] = <-x.StreamCh()
	}
	refused := dial()
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("one stream too many was answered")
	}
	for _, conn := range taken {
		_ = conn.Close()
		_ = conn.Close() // counted once
	}
	if n := x.crowd.Inside(); n != 0 {
		t.Errorf("all are closed, and %d are counted", n)
	}
	near := dial()
	far := <-x.StreamCh()
	defer far.Close()
	go func() {
		zeros := make([]byte, 1<<20)
		for {
			if _, err := near.Write(zeros); err != nil {
				return
			}
		}
	}()
	n, err := io.Copy(io.Discard, far)
	if n != fleet.MaxGossipStreamBytes || !errors.Is(err, errStreamTooLong) {
		t.Errorf("it brought %d bytes, %v; want %d, and the end", n, err, fleet.MaxGossipStreamBytes)
	}
}
