package meshtest_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/mesh/meshtest"
)

// connected returns both ends of a stream from a to b.
func connected(t *testing.T, n *meshtest.Network) (a, b net.Conn) {
	t.Helper()
	l := n.Listen("b:1")
	a, err := n.Dial(t.Context(), "a", "b:1")
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestStreamKeepsOrderAndTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := meshtest.New(meshtest.Options{MinDelay: 10 * time.Millisecond, MaxDelay: 50 * time.Millisecond})
		a, b := connected(t, n)
		start := time.Now()
		for _, word := range []string{"one ", "two ", "three"} {
			if _, err := a.Write([]byte(word)); err != nil {
				t.Fatal(err)
			}
		}
		_ = a.Close()
		got, err := io.ReadAll(b)
		if string(got) != "one two three" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		if took := time.Since(start); took < 10*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func TestCutStallsWhatIsSentAndHealTakesNewStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := meshtest.New(meshtest.Options{})
		a, b := connected(t, n)
		n.CutOneWay("a", "b")
		if _, err := a.Write([]byte("lost")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Write([]byte("back")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(a, make([]byte, 4)); err != nil {
			t.Errorf("the other way is cut too: %v", err)
		}
		_ = b.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := b.Read(make([]byte, 9)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("across the cut came %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.Dial(ctx, "a", "b:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dialling across the cut: %v", err)
		}
		n.Heal()
		if _, err := n.Dial(t.Context(), "a", "b:1"); err != nil {
			t.Errorf("dialling after the cut: %v", err)
		}
	})
}

func TestWriterWaitsForASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := meshtest.New(meshtest.Options{})
		a, _ := connected(t, n)
		_ = a.SetWriteDeadline(time.Now().Add(time.Second))
		wrote, err := a.Write(make([]byte, 1<<20))
		if !errors.Is(err, os.ErrDeadlineExceeded) || wrote == 0 || wrote == 1<<20 {
			t.Errorf("with nobody reading %d bytes were written, %v", wrote, err)
		}
	})
}

func TestNobodyListeningRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := meshtest.New(meshtest.Options{})
		if _, err := n.Dial(t.Context(), "a", "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("dialling nobody: %v", err)
		}
	})
}

// Of several that read one stream at once, none misses what the others leave,
// and all hear of its end.
func TestAllReadersOfAStreamAreWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := meshtest.New(meshtest.Options{MinDelay: time.Millisecond, MaxDelay: time.Millisecond})
		a, b := connected(t, n)
		const readers = 3
		ends := make(chan error, readers)
		got := make(chan int, 2*readers)
		for range readers {
			go func() {
				for {
					n, err := b.Read(make([]byte, 1))
					if err != nil {
						ends <- err
						return
					}
					got <- n
				}
			}()
		}
		synctest.Wait()
		for range 2 {
			if _, err := a.Write([]byte("xyz")); err != nil {
				t.Fatal(err)
			}
			for range readers {
				<-got
			}
		}
		_ = a.Close()
		for range readers {
			if err := <-ends; !errors.Is(err, io.EOF) {
				t.Errorf("a reader ended with %v", err)
			}
		}
	})
}

// A deadline that is set while a reader waits, for the past or for a moment
// before anything arrives, ends its waiting.
func TestDeadlineReachesAReaderThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := meshtest.New(meshtest.Options{MinDelay: time.Second, MaxDelay: time.Second})
		a, b := connected(t, n)
		for _, in := range []time.Duration{-time.Second, 0, 500 * time.Millisecond} {
			end := make(chan error, 1)
			go func() {
				_, err := b.Read(make([]byte, 1))
				end <- err
			}()
			synctest.Wait()
			if _, err := a.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
			_ = b.SetReadDeadline(time.Now().Add(in))
			if err := <-end; !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a deadline in %v: %v", in, err)
			}
			_ = b.SetReadDeadline(time.Time{})
			if _, err := b.Read(make([]byte, 1)); err != nil {
				t.Errorf("after it: %v", err)
			}
		}
		_, _ = a.Close(), b.Close()
	})
}
