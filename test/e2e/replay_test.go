package e2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"grapevine/fleet"
)

// recorder keeps what passes towards a node.
type recorder struct {
	mu      sync.Mutex
	streams [][]byte
}

// keep begins the record of a connection.
func (r *recorder) keep(conn net.Conn) net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams = append(r.streams, nil)
	return &recorded{Conn: conn, to: r, n: len(r.streams) - 1}
}

func (r *recorder) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.streams)
}

type recorded struct {
	net.Conn
	to *recorder
	n  int
}

func (c *recorded) Write(b []byte) (int, error) {
	c.to.mu.Lock()
	c.to.streams[c.n] = append(c.to.streams[c.n], b...)
	c.to.mu.Unlock()
	return c.Conn.Write(b)
}

// between listens at an address, passes connections on to another, and records
// what they bring.
func (r *recorder) between(t *testing.T, at, to string) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			go func() {
				_, _ = io.Copy(r.keep(far), near)
				_ = far.Close()
			}()
			go func() {
				_, _ = io.Copy(near, far)
				_ = near.Close()
			}()
		}
	}()
}

// again sends a record to a node, whole and cut off at eight places.
func (a *attacker) again(to string, record []byte) {
	a.w.t.Helper()
	for part := 1; part <= 8; part++ {
		conn := a.say(to, record[:len(record)*part/8])
		_ = conn.(*net.TCPConn).CloseWrite()
		a.w.ended(fmt.Sprintf("%d eighths of a record", part), conn)
	}
}

// What an operator asked for over TLS is done once, also if somebody who saw the
// packets sends them again, whole or in part.
func TestRecordedRequestDoesNothingASecondTime(t *testing.T) {
	w := newWorld(t)
	agent := w.agent("sim-1", 4096, "")
	w.complete([]*node{agent}, 1)
	agent.importTiny()
	a := &attacker{w: w, ip: w.subnet + ".66"}
	var seen recorder
	raw, err := a.dial(agent.ports().api)
	if err != nil {
		t.Fatal(err)
	}
	conn := tls.Client(seen.keep(raw), w.tls("operator", "http/1.1"))
	defer conn.Close()
	const body = `{"name":"once","flavor":"nano","image":"tiny"}`
	fmt.Fprintf(conn, "POST /v1/instances?wait=60s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode >= 300 {
		t.Fatalf("the create was answered %s: %s", answer.Status, text)
	}
	record := seen.all()[0]
	if len(record) < 1000 || bytes.Contains(record, []byte("once")) {
		t.Fatalf("%d bytes were recorded; want a handshake and a request that cannot be read", len(record))
	}
	before := inventory(agent.instances())
	a.again(agent.ports().api, record)
	if after := inventory(agent.instances()); len(after) != 1 || fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("there are %v, and before it was sent again there were %v", after, before)
	}
}

// A join that somebody recorded brings a member that has gone neither back nor
// in twice.
func TestRecordedJoinBringsNobodyBack(t *testing.T) {
	w := newWorld(t)
	first := w.agent("sim-1", 4096, "")
	var seen recorder
	w.seeds = []string{w.subnet + ".99:7946"}
	seen.between(t, w.seeds[0], first.ports().gossip)
	second := w.agent("sim-2", 4096, "")
	w.complete([]*node{first, second}, 2)
	records := seen.all()
	if len(records) == 0 || bytes.Contains(records[0], []byte("sim-2")) {
		t.Fatalf("%d streams were recorded; want a join that cannot be read", len(records))
	}
	second.do("mesh", "leave", "--yes")
	left := func() error {
		out, stderr, _ := first.cli("mesh", "members")
		for line := range strings.Lines(out) {
			if strings.Contains(line, "sim-2") && strings.Contains(line, "left") {
				return nil
			}
		}
		return fmt.Errorf("it lists %s%s", out, stderr)
	}
	w.until("the second is listed as having left", left)
	a := &attacker{w: w, ip: w.subnet + ".66"}
	for _, record := range records {
		a.again(first.ports().gossip, record)
	}
	if err := left(); err != nil {
		t.Errorf("after its join was sent again: %v", err)
	}
	if list := first.hosts(); list.Coverage != (fleet.Coverage{Heard: 1, Known: 2}) && list.Coverage != (fleet.Coverage{Heard: 1, Known: 1}) {
		t.Errorf("it hears %+v", list.Coverage)
	}
}
