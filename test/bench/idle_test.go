package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/test/netns"
)

const (
	// idlePeers and the one agent that is measured make a mesh of 300, where
	// idleVariable says nothing else.
	idlePeers    = 299
	idleVariable = "GRAPEVINE_BENCH_PEERS"
	// idleMachines is what each of the peers runs.
	idleMachines = 20
	// idlePatience is how long 300 may take to find together: joining, not
	// idling, is what costs, and here one process does it for all but one.
	idlePatience = 10 * time.Minute
	// idleSettle is how long the mesh may take to come to rest once it is whole:
	// members gossip of their arrival, and links are redrawn from the first ones
	// to random ones.
	idleSettle = 60 * time.Second
	// idleWatch is how long the agent is then looked at: links are redrawn every
	// minute, and all that comes every 30 s comes several times.
	idleWatch = 2 * time.Minute
)

// BenchmarkIdle measures one agent in a quiet mesh of 300: the built binary
// with its default settings, on a simulated host, alone in a network namespace
// whose cable counts every byte with all headers. Its 299 peers are members of
// the mesh with TLS and Serf in one other process, which needs most of a
// processor of its own: starved, its links break off and are made anew, and
// the mesh is not quiet. So there are only as many as this machine has room
// for, and the figures say how many. What sets them apart from agents: there is
// nothing around their mesh, their garbage is collected less often, they share
// one process, and that has the processor before others.
func BenchmarkIdle(b *testing.B) {
	if err := netns.Unable(); err != nil {
		note(b, "left out", err.Error())
		b.Skipf("left out: %v", err)
	}
	wished := idlePeers
	if text := os.Getenv(idleVariable); text != "" {
		var err error
		wished, err = strconv.Atoi(text)
		must(b, err)
		note(b, "peers, not 299", text)
	}
	for b.Loop() {
		w := newWorld(b)
		lab := netns.New(b)
		lab.Switch("rack")
		many := lab.Host("peers", "rack", netip.MustParsePrefix("10.77.0.1/16"))
		one := lab.Host("agent", "rack", netip.MustParsePrefix("10.77.0.2/16"))
		peers, seeds := w.crowd(many, wished)
		w.seeds = seeds
		report(b, "mesh of", float64(peers+1), "members")
		agent := w.startAt(one, one.Addr.String(), identity.Agent, "measured", "driver = \"simulated\"\n")
		w.within(idlePatience, "the agent has heard all hosts", func(ctx context.Context) error { return agent.hears(ctx, peers+1) })
		time.Sleep(idleSettle)

		spent, sent := cpuOf(b, agent.pid()), one.Counters()
		began := time.Now()
		time.Sleep(idleWatch)
		took := time.Since(began).Seconds()
		spent = cpuOf(b, agent.pid()) - spent
		held := memoryOf(b, agent.pid())
		reportWire(b, sent, one.Counters(), took)
		report(b, "cpu", 100*spent.Seconds()/took, "%-of-a-core")
		report(b, "rss", held.anon+held.file, "MiB")
		report(b, "rss of it anonymous", held.anon, "MiB")
		report(b, "rss of it file", held.file, "MiB")
		report(b, "pss", held.pss, "MiB")
		if err := agent.hears(b.Context(), peers+1); err != nil {
			note(b, "not quiet", "somebody was lost meanwhile, for want of processors most likely: "+err.Error())
		}
	}
}

// reportWire reports what went over a cable, both ways together and each.
func reportWire(b *testing.B, before, after netns.Counters, seconds float64) {
	b.Helper()
	in, out := float64(after.ReceivedBytes-before.ReceivedBytes), float64(after.SentBytes-before.SentBytes)
	packets := float64(after.ReceivedPackets - before.ReceivedPackets + after.SentPackets - before.SentPackets)
	report(b, "wire", (in+out)/seconds, "B/s")
	report(b, "wire of it sent", out/seconds, "B/s")
	report(b, "wire of it received", in/seconds, "B/s")
	report(b, "wire", packets/seconds, "packets/s")
}

// hears asks the agent itself, through its socket, whether it hears so many
// hosts.
func (n *node) hears(ctx context.Context, hosts int) error {
	select {
	case <-n.ended:
		return errors.New("it has ended")
	default:
	}
	c, err := client.New("unix://"+n.w.path(n.name+".sock"), client.Options{})
	if err != nil {
		return err
	}
	defer c.Close()
	list, err := c.Hosts(ctx)
	if err == nil && list.Coverage != (fleet.Coverage{Heard: hosts, Known: hosts}) {
		err = fmt.Errorf("its coverage is %+v, want all of %d", list.Coverage, hosts)
	}
	return err
}

// crowd starts members of the mesh in a process of their own at a host of a
// lab. It returns how many there are once they are at rest, fewer than wished
// where the machine has no room for as many, and the gossip addresses of some.
func (w *world) crowd(at *netns.Host, wished int) (running int, seeds []string) {
	w.b.Helper()
	must(w.b, identity.WriteNew(w.path("ca-key.pem"), w.ca.Pair().KeyPEM, 0o600))
	c := crowd{
		CA: w.path("ca.pem"), CAKey: w.path("ca-key.pem"), GossipKey: w.path("gossip.key"),
		Address: at.Addr.String(), Count: wished, GossipPort: 20000, LinkPort: 30000, Machines: idleMachines,
	}
	for {
		met, end := w.meet(at, c)
		if met == c.Count {
			w.b.Cleanup(end)
			break
		}
		end()
		note(w.b, "did not come to rest", fmt.Sprintf("%d members", met))
		c.Count = met * 3 / 4
	}
	for i := range min(3, c.Count) {
		seeds = append(seeds, fmt.Sprintf("%s:%d", c.Address, c.GossipPort+i))
	}
	return c.Count, seeds
}

// meet starts a crowd. It returns how many there are once they are at rest, or
// were when they were too many for that, one fewer than wished at most then; and
// what ends it.
func (w *world) meet(at *netns.Host, c crowd) (met int, end func()) {
	w.b.Helper()
	wish, err := json.Marshal(c)
	must(w.b, err)
	cmd := at.Command(context.Background(), "nice", "-n", "-10", os.Args[0])
	cmd.Env = append(os.Environ(), crowdVariable+"="+string(wish), "GOGC=400")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(w.b, err)
	out, err := cmd.StdoutPipe()
	must(w.b, err)
	must(w.b, cmd.Start())
	prefer(w.b, cmd.Process.Pid)
	end = func() { endCrowd(cmd, in) }
	var how string
	if _, err := fmt.Fscanln(out, &met, &how); err != nil {
		end()
		w.b.Fatalf("the peers did not start: %v", err)
	}
	if how != allAtRest {
		met = min(met, c.Count-1)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	return met, end
}

// prefer gives a process that leads a session of its own the processor before
// others. A member that waits for a processor looks like one that is lost, and
// then the mesh is not quiet; and the peers are no part of what is measured.
// Where the kernel groups processes by session, nice means nothing between
// them, and the group has a nice value of its own.
func prefer(b *testing.B, pid int) {
	b.Helper()
	err := os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte("-10"), 0o644)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.Logf("the peers get no more of the processor than others: %v", err)
	}
}

// endCrowd ends the crowd at once: that hundreds leave in good order is no
// part of what is measured.
func endCrowd(cmd *exec.Cmd, in io.Closer) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	_ = in.Close() // kept open until here: the crowd lives as long
}
