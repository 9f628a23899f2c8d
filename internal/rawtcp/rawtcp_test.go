package rawtcp

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"
)

// pair returns both ends of a connection on loopback, wrapped.
func pair(t *testing.T) (dialled, accepted net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	plain, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dialled = Wrap(plain)
	if accepted, err = (Listener{l}).Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

func TestAllThatIsWrittenIsReadAndThenTheEnd(t *testing.T) {
	a, b := pair(t)
	sent := make([]byte, 8<<20) // more than fits into the sockets' buffers
	rand.Read(sent)
	wrote := make(chan error, 1)
	go func() {
		n, err := a.Write(sent)
		if err == nil && n != len(sent) {
			err = io.ErrShortWrite
		}
		wrote <- errors.Join(err, a.Close())
	}()
	got, err := io.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes came of %d, or not the same", len(got), len(sent))
	}
}

func TestDeadlinesEndReadsAndWrites(t *testing.T) {
	a, _ := pair(t)
	past := time.Unix(1, 0)
	if err := a.SetDeadline(past); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func([]byte) (int, error){"read": a.Read, "write": a.Write} {
		_, err := f(make([]byte, 1))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%s after the deadline: %v", name, err)
		}
	}
}

func TestCloseEndsARead(t *testing.T) {
	a, _ := pair(t)
	ended := make(chan error, 1)
	go func() {
		_, err := a.Read(make([]byte, 1))
		ended <- err
	}()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
	if _, err := a.Write([]byte{1}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a write after it: %v", err)
	}
}

func TestErrorsAreThoseOfPackageNet(t *testing.T) {
	a, b := pair(t)
	if err := b.(interface{ SetLinger(int) error }).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil { // resets the connection
		t.Fatal(err)
	}
	_, err := a.Read(make([]byte, 1))
	var op *net.OpError
	if !errors.Is(err, syscall.ECONNRESET) || !errors.As(err, &op) || op.Op != "read" {
		t.Errorf("read of a connection that was reset: %v", err)
	}
	_, err = a.Write(make([]byte, 1))
	if !errors.Is(err, syscall.EPIPE) || !errors.As(err, &op) || op.Op != "write" {
		t.Errorf("write to it: %v", err)
	}
}

func TestOtherConnectionsStayAsTheyAre(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a {
		t.Error("a pipe was wrapped")
	}
}
