package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
)

const (
	// registryHosts is as many as the OpenStack that we compare with had.
	registryHosts = 10
	// warmUp is how many requests go before those that are measured: the
	// registry then has its connections to all agents.
	warmUp  = 40
	creates = 300
	reads   = 2000
)

// BenchmarkRegistry measures creates and lists over HTTP at a registry with ten
// agents, each in a process of its own. Processor time is that of all eleven.
func BenchmarkRegistry(b *testing.B) {
	w := newWorld(b)
	r := w.start(identity.Registry, "registry", "")
	w.simulated(registryHosts)
	asker := &asker{b: b, world: w, client: r.whole(registryHosts)}
	r.disk("tiny")
	w.until("every host has the image", func(ctx context.Context) error {
		list, err := asker.client.Images(ctx)
		if err == nil && (len(list.Items) != 1 || len(list.Items[0].Hosts) != registryHosts) {
			err = fmt.Errorf("images are %+v", list.Items)
		}
		return err
	})
	asker.many(b, 8, warmUp, client.CreateOptions{Wait: patience})
	asker.idle = asker.rest(b)

	for _, c := range []struct {
		name    string
		workers int
		opts    client.CreateOptions
		keyed   bool
	}{
		{name: "CreateAccepted1", workers: 1},
		{name: "CreateAccepted8", workers: 8},
		{name: "CreateRunning1", workers: 1, opts: client.CreateOptions{Wait: patience}},
		{name: "CreateRunning8", workers: 8, opts: client.CreateOptions{Wait: patience}},
		{name: "CreateKeyedRunning8", workers: 8, opts: client.CreateOptions{Wait: patience}, keyed: true},
	} {
		b.Run(c.name, func(b *testing.B) {
			asker.keyed = c.keyed
			for b.Loop() {
				asker.benchmark(b, c.workers, c.opts)
			}
		})
	}
	for _, workers := range []int{1, 8} {
		b.Run(fmt.Sprintf("List100By%d", workers), func(b *testing.B) {
			for b.Loop() {
				benchmarkList(b, r, workers)
			}
		})
	}
	b.Run("Rest", func(b *testing.B) {
		for b.Loop() {
			report(b, "idle CPU of all processes", 100*asker.idle, "%-of-a-core")
			held := memoryOf(b, r.pid())
			report(b, "registry RSS anonymous", held.anon, "MiB")
			report(b, "registry RSS file", held.file, "MiB")
			var all memory
			for _, pid := range w.pids() {
				all = all.and(memoryOf(b, pid))
			}
			report(b, "RSS of all processes", all.anon+all.file, "MiB")
			report(b, "PSS of all processes", all.pss, "MiB")
			note(b, "instances in the fleet", fmt.Sprint(asker.made.Load()))
		}
	})
}

// asker creates instances.
type asker struct {
	b      *testing.B
	world  *world
	client *client.Client
	keyed  bool
	made   atomic.Int64
	idle   float64 // cores that all processes take while nothing is asked of them
}

// fleetIdle is how long the idle fleet is looked at.
const fleetIdle = 10 * time.Second

func (a *asker) rest(b *testing.B) float64 {
	b.Helper()
	a.settle(b)
	time.Sleep(time.Second)
	before, began := cpuOf(b, a.world.pids()...), time.Now()
	time.Sleep(fleetIdle)
	return (cpuOf(b, a.world.pids()...) - before).Seconds() / time.Since(began).Seconds()
}

// published counts the versions that all hosts together have published, as the
// registry holds them.
func (a *asker) published(b *testing.B) uint64 {
	b.Helper()
	digest, err := a.client.Digest(b.Context())
	must(b, err)
	var sum uint64
	for _, row := range digest.Rows {
		sum += row.Version.Seq
	}
	return sum
}

// benchmark creates instances and waits until all of them run, whatever the
// answers waited for: the processor time is that of the whole way.
func (a *asker) benchmark(b *testing.B, workers int, opts client.CreateOptions) {
	b.Helper()
	a.settle(b)
	versions, heard := a.published(b), a.heard(b)
	before, began := cpuOf(b, a.world.pids()...), time.Now()
	took := a.many(b, workers, creates, opts)
	elapsed := time.Since(began)
	a.settle(b)
	spent := cpuOf(b, a.world.pids()...) - before
	background := time.Duration(a.idle * float64(time.Since(began)))
	report(b, "p50", milliseconds(quantile(took, 0.5)), "ms")
	report(b, "p99", milliseconds(quantile(took, 0.99)), "ms")
	report(b, "rate", creates/elapsed.Seconds(), "creates/s")
	report(b, "CPU of all processes", milliseconds(spent)/creates, "cpu-ms/create")
	report(b, "CPU of all processes without idling", milliseconds(spent-background)/creates, "cpu-ms/create")
	report(b, "versions published", float64(a.published(b)-versions)/creates, "versions/create")
	report(b, "announcements to the registry", (a.heard(b)-heard)/creates, "announcements/create")
}

// heard counts the announcements that the registry has received over its links.
func (a *asker) heard(b *testing.B) float64 {
	b.Helper()
	const name = "grapevine_mesh_announcements_received_total "
	metrics, err := a.client.Metrics(b.Context())
	must(b, err)
	defer metrics.Close()
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name); ok {
			n, err := strconv.ParseFloat(value, 64)
			must(b, err)
			return n
		}
	}
	b.Fatalf("the registry has no metric %s", name)
	return 0
}

// many creates count instances, so many at a time, and returns how long each
// answer took.
func (a *asker) many(b *testing.B, workers, count int, opts client.CreateOptions) []time.Duration {
	b.Helper()
	took := make([]time.Duration, count)
	spread(workers, count, func(i int) {
		name := fmt.Sprintf("vm-%d", a.made.Add(1))
		own := opts
		if a.keyed {
			own.Key = name
		}
		began := time.Now()
		accepted, err := a.client.CreateInstance(b.Context(), fleet.Create{Name: name, Flavor: "nano", Image: "tiny"}, own)
		took[i] = time.Since(began)
		switch row := accepted.Instance; {
		case err != nil:
			b.Errorf("create %s: %v", name, err)
		case own.Wait > 0 && (row.Power != fleet.PowerRunning || row.Task != fleet.TaskNone):
			b.Errorf("%s is %q, task %q, fault %q; want it running", name, row.Power, row.Task, row.Fault)
		}
	})
	if b.Failed() {
		b.FailNow()
	}
	return took
}

// settle waits until all that was created runs.
func (a *asker) settle(b *testing.B) {
	b.Helper()
	a.world.until("all instances run", func(ctx context.Context) error {
		list, err := a.client.AllInstances(ctx, fleet.InstanceQuery{State: fleet.PowerRunning})
		if err != nil {
			return err
		}
		done := int64(0)
		for i := range list.Items {
			if list.Items[i].Task == fleet.TaskNone {
				done++
			}
		}
		if want := a.made.Load(); done != want {
			return fmt.Errorf("%d of %d do", done, want)
		}
		return nil
	})
}

// spread runs do for 0 to count-1 with so many at a time, and returns when all
// are done.
func spread(workers, count int, do func(i int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				do(int(i))
			}
		})
	}
	all.Wait()
}

// benchmarkList reads pages of 100 instances. Its client reads the bytes and
// nothing more, since it shares the processors with the server.
func benchmarkList(b *testing.B, r *node, workers int) {
	b.Helper()
	page, err := r.client().Instances(b.Context(), fleet.InstanceQuery{Limit: 100})
	must(b, err)
	if len(page.Items) != 100 || page.Next == "" {
		b.Fatalf("a page has %d instances, next %q; want 100 and more to come", len(page.Items), page.Next)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	defer transport.CloseIdleConnections()
	urls := []string{r.addr() + "/v1/instances?limit=100"}
	urls = append(urls, urls[0]+"&marker="+page.Next)
	var size atomic.Int64
	read := func(i int) {
		if b.Failed() {
			return
		}
		n, err := fetch(b.Context(), transport, urls[i%len(urls)])
		if err != nil {
			b.Errorf("list: %v", err)
		}
		size.Store(n)
	}
	spread(workers, warmUp, read)

	took := make([]time.Duration, reads)
	before, began := cpuOf(b, r.pid()), time.Now()
	spread(workers, reads, func(i int) {
		start := time.Now()
		read(i)
		took[i] = time.Since(start)
	})
	elapsed, spent := time.Since(began), cpuOf(b, r.pid())-before
	report(b, "rate", reads/elapsed.Seconds(), "requests/s")
	report(b, "p50", milliseconds(quantile(took, 0.5)), "ms")
	report(b, "p99", milliseconds(quantile(took, 0.99)), "ms")
	report(b, "CPU of the registry", milliseconds(spent)/reads, "cpu-ms/request")
	report(b, "page", float64(size.Load())/1024, "KiB")
}

func fetch(ctx context.Context, transport *http.Transport, url string) (int64, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("status %s", resp.Status)
	}
	return io.Copy(io.Discard, resp.Body)
}
