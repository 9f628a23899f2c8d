package mesh

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/mesh/replica"
	"grapevine/mesh/replica/replicatest"
)

// bootstrapHosts is the size plan; fewer, for a quick look, with -args -hosts=N.
var bootstrapHosts = flag.Int("hosts", fleet.MaxHosts, "hosts that BenchmarkBootstrap fills a node with")

// receiverDir is set for the process that is filled: where its orders are.
const receiverDir = "GRAPEVINE_BENCH_RECEIVER"

// receiverOrders is what that process is told.
type receiverOrders struct {
	Join string
	Key  []byte
	Root uint64
}

// received is what it tells in the end.
type received struct {
	Seconds            float64 // from its first dial until it holds everything
	CPU                float64 // seconds of processor in that time
	Bytes              int64   // on the wire, both ways, TLS included
	PeakKiB, SteadyKiB int
}

// BenchmarkBootstrap fills an empty node, a process of its own, from one peer,
// this process, over TLS on loopback. No host but the peer is a member: what
// the node is filled with came from hosts that are gone. With -cpuprofile the
// node's own profile is written beside that file.
func BenchmarkBootstrap(b *testing.B) {
	if dir := os.Getenv(receiverDir); dir != "" {
		receive(b, dir)
		return
	}
	r := replica.New()
	for host := range *bootstrapHosts {
		r.Install(bootstrapBlock(b, host), time.Now())
	}
	for b.Loop() {
		dir := b.TempDir()
		w := startFull(b, dir, r)
		debug.FreeOSMemory()
		before := processorTime()
		got := runReceiver(b, dir)
		spent := processorTime() - before
		w.stop(b)
		b.ReportMetric(got.Seconds, "seconds")
		b.ReportMetric(float64(got.Bytes)/1e6, "wire-MB")
		b.ReportMetric(got.CPU, "receive-cpu-s")
		b.ReportMetric(spent.Seconds(), "send-cpu-s")
		b.ReportMetric(float64(got.PeakKiB)/1024, "peak-MiB")
		b.ReportMetric(float64(got.SteadyKiB)/1024, "rss-MiB")
		b.ReportMetric(float64(got.PeakKiB)/float64(got.SteadyKiB), "peak-x")
		b.ReportMetric(0, "ns/op")
	}
}

// bootstrapBlock is a host with its instances, every field filled.
func bootstrapBlock(b *testing.B, host int) *replica.Block {
	b.Helper()
	var own []replica.OwnRow
	for _, row := range (replicatest.Fleet{Hosts: *bootstrapHosts}).Rows(host) {
		own = append(own, replica.OwnRow(row))
	}
	o := replica.NewOrigin(replicatest.HostID(host))
	o.Begin(1, 1)
	block, _, err := o.Next(own)
	if err != nil {
		b.Fatal(err)
	}
	return block
}

// startFull starts an agent that holds r, and leaves orders for the receiver.
func startFull(b *testing.B, dir string, r *replica.Replica) *socketFleet {
	b.Helper()
	ca, err := identity.NewCA("bootstrap", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &socketFleet{index: map[fleet.UUID]int{}, ctx: ctx, cancel: cancel}
	orders := receiverOrders{Key: identity.NewGossipKey(), Root: r.Root()}
	x, err := w.start(ca, orders.Key, 0, r)
	if err != nil {
		b.Fatal(err)
	}
	w.nodes = append(w.nodes, x)
	orders.Join = x.GossipAddr()
	pair, err := ca.Issue(identity.Subject{Role: identity.Registry, ID: fleet.NewUUIDv5(fleet.UUID{4}, "receiver"), Name: "receiver"}, time.Hour, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	text, err := json.Marshal(orders)
	if err != nil {
		b.Fatal(err)
	}
	for name, content := range map[string][]byte{"ca.pem": ca.CertPEM(), "cert.pem": pair.CertPEM, "key.pem": pair.KeyPEM, "orders.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

// runReceiver runs this benchmark again, in a process that is filled.
func runReceiver(b *testing.B, dir string) received {
	b.Helper()
	args := []string{"-test.run=^$", "-test.bench=^BenchmarkBootstrap$", "-test.benchtime=1x", "-test.timeout=5m"}
	if profile := flag.Lookup("test.cpuprofile").Value.String(); profile != "" {
		args = append(args, "-test.cpuprofile="+profile+".receiver")
	}
	child := exec.CommandContext(b.Context(), os.Args[0], args...)
	child.Env = append(os.Environ(), receiverDir+"="+dir)
	var out bytes.Buffer
	child.Stdout, child.Stderr = &out, &out
	if err := child.Run(); err != nil {
		b.Fatalf("receive: %v\n%s", err, out.Bytes())
	}
	var got received
	text, err := os.ReadFile(filepath.Join(dir, "received.json"))
	if err == nil {
		err = json.Unmarshal(text, &got)
	}
	if err != nil {
		b.Fatalf("read what was received: %v\n%s", err, out.Bytes())
	}
	return got
}

// receive joins, waits until it holds all that the peer does, and writes down
// what that took.
func receive(b *testing.B, dir string) {
	b.Helper()
	var orders receiverOrders
	text, err := os.ReadFile(filepath.Join(dir, "orders.json"))
	if err == nil {
		err = json.Unmarshal(text, &orders)
	}
	if err != nil {
		b.Fatal(err)
	}
	link, err := newReceiverLink(dir)
	if err != nil {
		b.Fatal(err)
	}
	m, err := New(Config{
		ID: link.identity.Subject().ID, Name: "receiver", Role: fleet.RoleRegistry, GossipBind: "127.0.0.1:0",
		Key: orders.Key, Join: []string{orders.Join}, Dial: link.dial,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.Context(), 4*time.Minute)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	whole := holds(ctx, m, orders.Root)
	got := link.sum()
	got.PeakKiB = statusKiB(b, "VmHWM")
	debug.FreeOSMemory()
	got.SteadyKiB = statusKiB(b, "VmRSS")
	cancel()
	if err := <-done; err != nil || !whole {
		b.Fatalf("%d hosts were held in the end: %v", m.Replica().Len(), err)
	}
	if text, err = json.Marshal(got); err == nil {
		err = os.WriteFile(filepath.Join(dir, "received.json"), text, 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() { // a benchmark has to
	}
}

// holds waits until a node holds all that adds up to a root.
func holds(ctx context.Context, m *Mesh, root uint64) bool {
	for {
		changed := m.Replica().Changed()
		if m.Replica().Root() == root {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// receiverLink dials the peer, and counts from then on.
type receiverLink struct {
	identity *identity.Identity
	bytes    atomic.Int64
	began    atomic.Int64 // nanoseconds; 0 until the first dial
	spent    atomic.Int64 // processor time until then
}

func newReceiverLink(dir string) (*receiverLink, error) {
	file := func(name string) string { return filepath.Join(dir, name) }
	id, err := identity.Load(identity.Files{CA: file("ca.pem"), Cert: file("cert.pem"), Key: file("key.pem")}, time.Now())
	return &receiverLink{identity: id}, err
}

func (l *receiverLink) dial(ctx context.Context, addr string, peer fleet.UUID) (net.Conn, error) {
	if !strings.HasPrefix(addr, "127.0.0.1:") {
		return nil, errElsewhere
	}
	if l.began.CompareAndSwap(0, time.Now().UnixNano()) {
		l.spent.Store(int64(processorTime()))
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return tls.Client(wireCounter{conn, &l.bytes}, l.identity.ClientTLS(peer, ALPN)), nil
}

// sum is called when all has come.
func (l *receiverLink) sum() received {
	return received{
		Seconds: time.Since(time.Unix(0, l.began.Load())).Seconds(),
		CPU:     (processorTime() - time.Duration(l.spent.Load())).Seconds(),
		Bytes:   l.bytes.Load(),
	}
}

// wireCounter counts what goes over a connection, both ways.
type wireCounter struct {
	net.Conn
	bytes *atomic.Int64
}

func (c wireCounter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

func (c wireCounter) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.bytes.Add(int64(n))
	return n, err
}

// statusKiB returns a line of /proc/self/status.
func statusKiB(b *testing.B, name string) int {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n"+name+":")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		b.Fatalf("/proc/self/status has no %s", name)
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		b.Fatal(err)
	}
	return kib
}
