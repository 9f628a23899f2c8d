package e2e

import (
	"errors"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"grapevine/fleet"
	"grapevine/test/built"
)

// relay passes connections on to a registry, and counts what it passes on of what
// clients send. Past a bound that is nothing more.
type relay struct {
	listener net.Listener
	sent     atomic.Int64
	bound    int64
}

func (w *world) relay(to *node, bound int64) *relay {
	w.t.Helper()
	listener, err := net.Listen("tcp", w.subnet+".200:0")
	if err != nil {
		w.t.Fatal(err)
	}
	r := &relay{listener: listener, bound: bound}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { r.pass(client, strings.TrimPrefix(to.addr(), "http://")) })
		}
	})
	w.t.Cleanup(func() {
		_ = listener.Close()
		all.Wait()
	})
	return r
}

// pass serves one connection until either side ends it.
func (r *relay) pass(client net.Conn, to string) {
	defer client.Close()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if err != nil {
			break
		}
		if _, err := server.Write(buf[:n]); err != nil {
			break
		}
		if r.sent.Add(int64(n)) > r.bound {
			_, _ = io.Copy(io.Discard, client) // nothing more arrives, until the client ends
			break
		}
	}
	_ = server.Close()
	back.Wait()
}

// An upload whose client dies half-way goes on when it is run again, and sends
// the rest only.
func TestUploadGoesOnAfterItsClientDied(t *testing.T) {
	w, agents, registries := fleetOfThree(t)
	const mib = 48
	path, id := w.diskFile("disk.raw", mib)
	args := []string{"image", "import", "--name", "big", "--disk", path}

	first := w.relay(registries[0], 20<<20)
	client := exec.Command(binary, args...)
	client.Env = append(client.Environ(), "GRAPEVINE_ADDR=http://"+first.listener.Addr().String())
	dying := built.Start(t, client, "client", w.path("client.log"))
	w.until("half of it was sent", func() error {
		if first.sent.Load() <= first.bound {
			return errors.New("not yet")
		}
		return nil
	})
	if err := dying.Cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-dying.Ended
	if list := decode[fleet.List[fleet.Image]](t, registries[1].do("image", "list", "-o", "json")); slices.ContainsFunc(list.Items, func(im fleet.Image) bool { return im.ID == id }) {
		t.Error("half of the image is listed")
	}

	second := w.relay(registries[1], mib<<21) // another registry, as they keep nothing
	stdout, stderr, code := w.run([]string{"GRAPEVINE_ADDR=http://" + second.listener.Addr().String()}, args...)
	if code != 0 || !strings.Contains(stdout, "imported big ("+id+")") {
		t.Fatalf("exit code %d: %s%s", code, stdout, stderr)
	}
	all := int64(mib << 20)
	if again := first.sent.Load() + second.sent.Load() - all; again > 1<<20 {
		t.Errorf("%d bytes were sent before the client died and %d after it, which is %d more than there are", first.sent.Load(), second.sent.Load(), again)
	}
	list := decode[fleet.List[fleet.Image]](t, registries[0].do("image", "list", "-o", "json"))
	at := slices.IndexFunc(list.Items, func(im fleet.Image) bool { return im.ID == id })
	if at < 0 || len(list.Items[at].Hosts) != 1 {
		t.Fatalf("the images are %+v, want it at one host", list.Items)
	}
	for _, a := range agents {
		if a.id == list.Items[at].Hosts[0].String() && a.digest(id) != id {
			t.Errorf("the copy of %s is another content", a.name)
		}
	}
}
