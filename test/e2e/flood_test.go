package e2e

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"grapevine/fleet"
)

// flood opens more connections to each port than one address may have, and says
// part of something on each. Those for which there is no room end at once.
func (a *attacker) flood(n *node) {
	a.w.t.Helper()
	const more = 50
	part := append([]byte("GET / HTTP/1.1\r\nX-Long: "), bytes.Repeat([]byte("x"), 30<<10)...)
	if n.role == "agent" {
		part = hello(a.w)[:50]
	}
	for _, port := range []struct {
		at   string
		most int
		text []byte
		told string // in the log
	}{
		{n.ports().api, fleet.MaxConnectionsEach, part, "connection refused: too many are open"},
		{n.ports().gossip, fleet.MaxGossipStreamsEach, []byte{244, 3, 'e', '2', 'e', 10, 0, 255, 255, 255}, "gossip stream refused: too many are open"},
	} {
		for range port.most {
			conn, err := a.dial(port.at)
			if err != nil {
				a.w.t.Fatal(err)
			}
			a.open = append(a.open, conn)
			_, _ = conn.Write(port.text)
		}
		var refused sync.WaitGroup
		for range more {
			if conn, err := a.dial(port.at); err == nil {
				a.open = append(a.open, conn)
				refused.Go(func() { a.w.ended("one connection too many to "+port.at, conn) })
			}
		}
		refused.Wait()
		if log, err := os.ReadFile(n.logFile()); err != nil || !bytes.Contains(log, []byte(port.told)) {
			a.w.t.Errorf("the log of %s does not say %q: %v", n.name, port.told, err)
		}
	}
	a.hangUp()
}

// hangUp closes what the floods have opened.
func (a *attacker) hangUp() {
	for _, conn := range a.open {
		_ = conn.Close()
	}
	a.open = nil
}

// oversize sends what is longer than anything may be.
func (a *attacker) oversize(n *node) {
	a.w.t.Helper()
	at := n.ports()
	api := func() net.Conn {
		if n.role == "agent" {
			return a.overTLS(at.api, "operator", "http/1.1")
		}
		return a.say(at.api, nil)
	}
	head := "POST /v1/instances HTTP/1.1\r\nHost: " + at.api + "\r\nContent-Type: application/json\r\n"
	for _, c := range []struct{ what, text, fill, answer string }{
		{"a header", "GET /v1/hosts HTTP/1.1\r\nHost: x\r\nX-Long: ", "x", " 431 "},
		{"a request line", "GET /", "x", " 431 "},
		{"a body", head + "Content-Length: 9223372036854775807\r\n\r\n", "{", " 413 "},
		{"a chunk", head + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n", "{", " 413 "},
		{"a chunk's size", head + "Transfer-Encoding: chunked\r\n\r\n", "f", " 400 "},
	} {
		conn := api()
		go func() {
			fill := strings.Repeat(c.fill, 64<<10)
			_, err := io.WriteString(conn, c.text)
			for err == nil { // until the other side has had enough
				_, err = io.WriteString(conn, fill)
			}
		}()
		_ = conn.SetReadDeadline(time.Now().Add(a.w.patience))
		answer, err := io.ReadAll(conn)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			a.w.t.Errorf("%s without an end is read for ever by %s", c.what, n.name)
		}
		// A close with bytes unread may overtake the answer.
		if line, _, _ := strings.Cut(string(answer), "\r\n"); line != "" && !strings.Contains(line, c.answer) {
			a.w.t.Errorf("%s without an end is answered by %s with %q, want %s", c.what, n.name, line, c.answer)
		}
		_ = conn.Close()
	}
	a.gossipNoise(at.gossip)
}

// gossipNoise sends a stream without an end, and packets of every kind that are
// none.
func (a *attacker) gossipNoise(to string) {
	a.w.t.Helper()
	conn := a.say(to, []byte{244, 3, 'e', '2', 'e', 10, 1, 64, 0, 0}) // as if 20 MiB were to come
	_ = conn.SetWriteDeadline(time.Now().Add(a.w.patience))
	var err error
	for err == nil { // until the node, and the kernel before it, takes no more
		_, err = conn.Write(noise(1 << 20))
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		a.w.t.Errorf("a gossip stream of noise to %s has not ended after %v", to, a.w.patience)
	}
	packets, err := net.Dial("udp", to)
	if err != nil {
		a.w.t.Fatal(err)
	}
	defer packets.Close()
	for kind := range 256 {
		_, _ = packets.Write(append([]byte{byte(kind)}, noise(kind*kind%1400)...))
		_, _ = packets.Write(append([]byte{244, 3, 'e', '2', 'e', byte(kind)}, noise(60 << 10)[:kind*200]...))
	}
}

// noise is so many bytes of it, the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}
