package proofs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/sockets"
	"grapevine/mesh/meshtest"
)

// World is one fleet. It is made and used inside a synctest bubble.
type World struct {
	t          *testing.T
	dir        string // of all journals
	rng        *rand.Rand
	net        *meshtest.Network
	roster     *roster
	ca         *identity.CA
	operator   *identity.Identity // one for all clients
	key        []byte
	log        *slog.Logger
	image      fleet.Image
	content    []byte
	Hosts      []*Host
	Registries []*Registry
}

// NewWorld starts a fleet of so many agents and registries, in which everybody
// hears everybody and every host holds the image "tiny". The test's end ends
// it.
func NewWorld(t *testing.T, seed uint64, hosts, registries int, size fleet.Resources) *World {
	t.Helper()
	ca, err := identity.NewCA("proofs", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	w := &World{
		t: t, dir: journals(t), rng: rand.New(rand.NewPCG(seed, 5)), // repeatable
		net:    meshtest.New(meshtest.Options{Seed: seed, MinDelay: 200 * time.Microsecond, MaxDelay: 2 * time.Millisecond}),
		roster: newRoster(), ca: ca, key: identity.NewGossipKey(), log: slog.New(slog.DiscardHandler),
	}
	if os.Getenv("GRAPEVINE_PROOFS_LOG") != "" {
		w.log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	w.image, w.content = tiny()
	t.Cleanup(w.end)
	for n := range hosts {
		w.Hosts = append(w.Hosts, w.newHost(n, size))
	}
	for n := range registries {
		w.Registries = append(w.Registries, w.newRegistry(n))
	}
	w.begin()
	return w
}

// journals makes the folder for all that hosts have on their disks. What is
// durable does not depend on the disk, for a kill leaves all that was written;
// what it costs does, so that GRAPEVINE_PROOFS_DIR may be a folder in memory.
func journals(t *testing.T) string {
	t.Helper()
	in := os.Getenv("GRAPEVINE_PROOFS_DIR")
	if in == "" {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(in, "grapevine-proofs") //nolint:usetesting // not where tests have theirs
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// begin starts everything and waits until the registries answer for all.
func (w *World) begin() {
	w.t.Helper()
	for _, h := range w.Hosts {
		h.Start()
	}
	for _, r := range w.Registries {
		r.Start()
	}
	w.Await(time.Minute, "all agents are ready", func() error {
		for _, h := range w.Hosts {
			if !h.Ready() {
				return fmt.Errorf("%s is not", h.Name)
			}
		}
		return nil
	})
	for _, h := range w.Hosts {
		h.giveImage()
	}
	w.Await(time.Minute, "every registry hears every host and its image", w.heard)
}

// heard says why a registry does not answer for the whole fleet yet.
func (w *World) heard() error {
	for _, r := range w.Registries {
		if !r.Up() {
			continue
		}
		ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Second)
		list, err := r.Client.Hosts(ctx)
		cancel()
		switch {
		case err != nil:
			return fmt.Errorf("%s: %w", r.Name, err)
		case len(list.Items) != len(w.Hosts):
			return fmt.Errorf("%s lists %d hosts", r.Name, len(list.Items))
		}
		for i := range list.Items {
			if h := &list.Items[i]; h.Reachability != fleet.ReachOK || !h.HoldsImage(w.image.ID) {
				return fmt.Errorf("%s: host %s is %s, holds the image: %v", r.Name, h.Name, h.Reachability, h.HoldsImage(w.image.ID))
			}
		}
	}
	return nil
}

// end ends all that is up.
func (w *World) end() {
	for _, r := range w.Registries {
		if r.Up() {
			r.Kill()
		}
	}
	for _, h := range w.Hosts {
		if h.Up() {
			h.Kill()
		}
	}
	time.Sleep(2 * detection) // the roster's alarms, and dials under way
}

// Await waits in virtual time until a condition holds, and fails with what it
// said last.
func (w *World) Await(limit time.Duration, what string, holds func() error) {
	w.t.Helper()
	began := time.Now()
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Since(began) > limit {
			w.t.Fatalf("after %v not so: %s: %v", limit, what, err)
		}
		time.Sleep(max(5*time.Millisecond, time.Since(began)/20))
	}
}

// issue makes a certificate that outlasts every proof.
func (w *World) issue(role identity.Role, id fleet.UUID, name string) *identity.Identity {
	w.t.Helper()
	return w.issueFor(365*24*time.Hour, role, id, name)
}

func (w *World) issueFor(life time.Duration, role identity.Role, id fleet.UUID, name string) *identity.Identity {
	w.t.Helper()
	pair, err := w.ca.Issue(identity.Subject{Role: role, ID: id, Name: name}, life, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	own, err := identity.New(w.ca.CertPEM(), pair, time.Now(), role)
	if err != nil {
		w.t.Fatal(err)
	}
	return own
}

// client returns a client of the node with this id at addr, used from the
// operator's own machine.
func (w *World) client(addr string, id fleet.UUID) *client.Client {
	w.t.Helper()
	if w.operator == nil {
		w.operator = w.issue(identity.Operator, fleet.UUID{0xff}, "operator")
	}
	c, err := client.New("https://"+addr, client.Options{TLS: w.operator.ClientTLS(id, "http/1.1"), Dialer: &place{net: w.net, name: "10.9.9.9"}})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// place is one machine's part of the network.
type place struct {
	net  *meshtest.Network
	name string // its address
}

var _ sockets.Network = (*place)(nil)

// Listen implements sockets.Network.
func (p *place) Listen(_, addr string) (net.Listener, error) { return p.net.Listen(addr), nil }

// DialContext implements sockets.Network.
func (p *place) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	return p.net.Dial(ctx, p.name, addr)
}

// tiny is an image of a few bytes.
func tiny() (fleet.Image, []byte) {
	content := []byte("a disk")
	sum := sha256.Sum256(content)
	file := fleet.ImageFile{
		Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "raw", VirtualBytes: int64(len(content)),
	}
	return fleet.Image{ID: file.SHA256, Name: "tiny", Files: []fleet.ImageFile{file}, Bytes: file.Bytes}, content
}
