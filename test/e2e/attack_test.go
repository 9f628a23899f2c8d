package e2e

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// ports of a node that strangers reach, by what they do there.
type ports struct{ api, gossip string }

func (n *node) ports() ports {
	if n.role == "registry" {
		return ports{api: n.ip + ":7948", gossip: n.ip + ":7949"}
	}
	return ports{api: n.ip + ":7947", gossip: n.ip + ":7946"}
}

// attacker opens connections from an address of its own.
type attacker struct {
	w    *world
	ip   string
	open []net.Conn
}

func (a *attacker) dial(to string) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(a.ip)}, Timeout: a.w.patience}
	return d.Dial("tcp", to)
}

// say connects, sends the bytes and keeps the connection.
func (a *attacker) say(to string, text []byte) net.Conn {
	a.w.t.Helper()
	conn, err := a.dial(to)
	if err != nil {
		a.w.t.Fatal(err)
	}
	a.w.t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write(text); err != nil {
		a.w.t.Fatal(err)
	}
	return conn
}

// overTLS does a handshake with a person's or a node's certificate, or with
// none.
func (a *attacker) overTLS(to, as, proto string) net.Conn {
	a.w.t.Helper()
	conn, err := a.dial(to)
	if err != nil {
		a.w.t.Fatal(err)
	}
	secure := tls.Client(conn, a.w.tls(as, proto))
	if err := secure.Handshake(); err != nil {
		a.w.t.Fatal(err)
	}
	a.w.t.Cleanup(func() { _ = secure.Close() })
	return secure
}

// tls are the settings of one with the certificate of this name; "" has none.
func (w *world) tls(as, proto string) *tls.Config {
	w.t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{proto}} // a node is known by its id, which the test does not ask for
	if as == "" {
		return config
	}
	for _, role := range []string{"operator", "agent", "registry"} {
		pair, err := tls.LoadX509KeyPair(w.path(as, role+".pem"), w.path(as, role+"-key.pem"))
		if err == nil {
			config.Certificates = []tls.Certificate{pair}
			return config
		}
	}
	w.t.Fatalf("there is no certificate of %s", as)
	return nil
}

// ended waits until the other side has closed the connection, whatever it says
// before.
func (w *world) ended(what string, conn net.Conn) {
	w.t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(w.patience))
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		w.t.Errorf("%s: the connection is still open after %v", what, w.patience)
	}
}

// hello begins a TLS handshake, and is all that is sent of it.
func hello(w *world) []byte {
	near, far := net.Pipe()
	go func() { _ = tls.Client(near, w.tls("", "http/1.1")).Handshake() }()
	packet := make([]byte, 4096)
	n, _ := far.Read(packet)
	_ = near.Close()
	return packet[:n]
}

// footprint is what a process takes.
type footprint struct{ rssMiB, files, goroutines int }

func (n *node) footprint() footprint {
	n.w.t.Helper()
	proc := "/proc/" + strconv.Itoa(n.Cmd.Process.Pid)
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		n.w.t.Fatal(err)
	}
	files, err := os.ReadDir(proc + "/fd")
	if err != nil {
		n.w.t.Fatal(err)
	}
	f := footprint{files: len(files)}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			f.rssMiB = kib >> 10
		}
	}
	for line := range strings.Lines(string(n.metrics())) {
		if rest, ok := strings.CutPrefix(line, "go_goroutines "); ok {
			f.goroutines, _ = strconv.Atoi(strings.TrimSpace(rest))
		}
	}
	return f
}

// The most that a node may take while one address does to it what is done here: a
// goroutine or two and a header for each connection that it is let have, and some
// gossip streams of noise; a node that does nothing takes 60 MiB.
const (
	worstMiB        = 400
	worstGoroutines = 3 * fleet.MaxConnectionsEach
)

// serves fails unless the node answers an honest client, and takes no more than
// it may.
func (n *node) serves() error {
	if _, stderr, code := n.cli("host", "list"); code != 0 {
		return fmt.Errorf("%s does not answer while it is attacked: %s", n.name, stderr)
	}
	if f := n.footprint(); f.rssMiB > worstMiB || f.goroutines > worstGoroutines {
		return fmt.Errorf("%s takes %+v", n.name, f)
	}
	return nil
}

// Whoever opens connections and sends a part of what there is to send, or
// nothing, or too much, or noise, loses them within seconds, and nobody else
// notices.
func TestNodesServeOthersWhileOneAddressAttacksThem(t *testing.T) {
	w := newWorld(t)
	agent := w.agent("sim-1", 4096, "")
	registry := w.registry("registry-1")
	nodes := []*node{agent, registry}
	w.complete(nodes, 1)
	a := &attacker{w: w, ip: w.subnet + ".66"}
	before := map[*node]footprint{agent: agent.footprint(), registry: registry.footprint()}

	// What stays open for as long as it is let.
	stuck := map[string]net.Conn{}
	for _, n := range nodes {
		at := n.ports()
		stuck[n.name+", gossip, nothing"] = a.say(at.gossip, nil)
		stuck[n.name+", gossip, a part of a label"] = a.say(at.gossip, []byte{244, 200, 'e'})
		stuck[n.name+", gossip, a part of an encrypted stream"] = a.say(at.gossip, append([]byte{244, 3, 'e', '2', 'e', 10, 0, 0, 255, 255}, noise(1000)...))
		stuck[n.name+", nothing"] = a.say(at.api, nil)
		stuck[n.name+", a handshake in part"] = a.say(at.api, hello(w)[:50])
	}
	stuck["registry, half of a header"] = a.say(registry.ports().api, []byte("GET /v1/hosts HTTP/1.1\r\nX-Slow: "))
	stuck["agent, a handshake without its end"] = a.say(agent.ports().api, hello(w))
	half := a.overTLS(agent.ports().api, "", "http/1.1")
	fmt.Fprint(half, "GET /v1/hosts HTTP/1.1\r\nX-Slow: ")
	stuck["agent, half of a header, no certificate"] = half
	stuck["agent, a link without a certificate"] = a.overTLS(agent.ports().api, "", "grapevine-link/1")
	stuck["agent, a link that says nothing"] = a.overTLS(agent.ports().api, "registry-1", "grapevine-link/1")
	noisy := a.overTLS(agent.ports().api, "registry-1", "grapevine-link/1")
	_, _ = noisy.Write(bytes.Repeat([]byte{0xff}, 64<<10))
	stuck["agent, a link full of noise"] = noisy

	// What is too much.
	for _, n := range nodes {
		a.flood(n)
		a.oversize(n)
		if err := n.serves(); err != nil {
			t.Error(err)
		}
	}
	for what, conn := range stuck {
		w.ended(what, conn)
	}
	for _, n := range nodes {
		if err := n.serves(); err != nil {
			t.Error(err)
		}
	}
	a.hangUp()
	for _, n := range nodes {
		w.until(n.name+" has let go of all that", func() error {
			was, now := before[n], n.footprint()
			if now.files > was.files+20 || now.goroutines > was.goroutines+40 {
				return fmt.Errorf("it has %+v, and had %+v", now, was)
			}
			return nil
		})
	}
	w.complete(nodes, 1)
}
