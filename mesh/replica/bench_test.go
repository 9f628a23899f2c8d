package replica

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// BenchmarkReplicaLoad loads the fleet, in a process that does nothing else,
// and weighs that process.
func BenchmarkReplicaLoad(b *testing.B) {
	if os.Getenv(fleetFromParent) != "" {
		weighLoad(b)
		return
	}
	for b.Loop() {
		child := exec.CommandContext(b.Context(), os.Args[0], "-test.run=^$", "-test.bench=^BenchmarkReplicaLoad$", "-test.benchtime=1x", "-hosts="+strconv.Itoa(*benchHosts))
		child.Env = append(os.Environ(), fleetFromParent+"=3")
		child.ExtraFiles = []*os.File{openFleet(b)}
		out, err := child.CombinedOutput()
		if err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		for name, value := range metricsIn(string(out)) {
			b.ReportMetric(value, name)
		}
	}
	b.ReportMetric(0, "ns/op")
}

// metricsIn reads the figures of a benchmark's line.
func metricsIn(out string) map[string]float64 {
	found := map[string]float64{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		for i := 2; strings.HasPrefix(line, "BenchmarkReplicaLoad") && i+1 < len(words); i += 2 {
			if v, err := strconv.ParseFloat(words[i], 64); err == nil && words[i+1] != "ns/op" {
				found[words[i+1]] = v
			}
		}
	}
	return found
}

func weighLoad(b *testing.B) {
	b.Helper()
	openFleet(b)
	idle := settledRSS()
	idleGC := fullGC()
	r, spent := loadFleet(b)
	atRest := settledRSS()
	rows, encoded, pages := 0, 0, 0
	for block := range r.Blocks() {
		in := block.rows.instances
		rows += in.to - in.from
		encoded += block.Encoded()
		pages += block.rows.texts.to - block.rows.texts.from
	}
	for host := range *benchHosts {
		row, ok := r.Block(benchHostID(host)).Row(wire.InstanceKey(benchID(host, 0)))
		if !ok || !bytes.Contains(row.Body, unknownField) {
			b.Fatalf("host %d: the unknown field did not survive", host)
		}
	}
	if rows != *benchHosts*benchEach {
		b.Fatalf("%d rows are held", rows)
	}
	b.ReportMetric(float64(encoded)/float64(rows), "B/row")
	b.ReportMetric(float64(atRest-idle-encoded)/float64(rows), "overhead-B/row")
	b.ReportMetric(float64(pages)/float64(*benchHosts), "pages/host")
	b.ReportMetric(float64(idle)/(1<<20), "idle-MiB")
	b.ReportMetric(float64(atRest)/(1<<20), "rss-MiB")
	b.ReportMetric(float64(rows)/spent.Seconds(), "rows/s")
	b.ReportMetric(float64(fullGC().Microseconds())/1000, "gc-ms")
	b.ReportMetric(float64(idleGC.Microseconds())/1000, "idle-gc-ms")
	b.ReportMetric(float64(peakUnderWrites(b, r))/(1<<20), "writes-rss-MiB")
	b.ReportMetric(float64(settledRSS()-idle-encoded)/float64(rows), "overhead-after-writes-B/row")
	b.ReportMetric(0, "ns/op")
	runtime.KeepAlive(r)
}

// settledRSS is the resident memory of the process in bytes once the collector
// has given back what it can.
func settledRSS() int {
	runtime.GC()
	debug.FreeOSMemory()
	return rss()
}

func rss() int {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(data))[1])
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

// fullGC returns the processor time of one full collection, the median of
// several: that of the process while nothing else runs.
func fullGC() time.Duration {
	var took []time.Duration
	for range 9 {
		before := processCPU()
		runtime.GC()
		took = append(took, processCPU()-before)
	}
	slices.Sort(took)
	return took[len(took)/2]
}

// peakUnderWrites changes every host ten times, ten rows each, and returns the
// most memory that was seen.
func peakUnderWrites(b *testing.B, r *Replica) int {
	b.Helper()
	most := 0
	for round := range 10 {
		for i, e := range r.hosts.all() {
			if got, err := r.Apply(changeOf(b, e.block.Load(), 10, round*13+i), fleet.UUID{1}, benchTime); got != Applied {
				b.Fatal(got, err)
			}
			if i%100 == 0 {
				most = max(most, rss())
			}
		}
	}
	return most
}

// underWrites runs f while another goroutine applies 1,000 updates a second of
// one row each.
func underWrites(b *testing.B, r *Replica, f func()) {
	b.Helper()
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		hosts := r.hosts.all()
		for n := 0; !stop.Load(); n++ {
			e := hosts[n*7919%len(hosts)]
			if got, err := r.Apply(changeOf(b, e.block.Load(), 1, n), fleet.UUID{1}, benchTime); got != Applied {
				panic(err)
			}
			<-tick.C
		}
	}()
	f()
	stop.Store(true)
	<-done
}

// percentiles runs f n times on one thread and reports its processor time. In
// each sample f is run that many times.
func percentiles(b *testing.B, prefix string, n, each int, f func()) {
	b.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took := make([]time.Duration, n)
	for i := range took {
		before := threadCPU()
		for range each {
			f()
		}
		took[i] = (threadCPU() - before) / time.Duration(each)
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[n/2].Nanoseconds())/1000, prefix+"p50-us")
	b.ReportMetric(float64(took[n*99/100].Nanoseconds())/1000, prefix+"p99-us")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkReplicaGet looks instances up by id, in samples of ten.
func BenchmarkReplicaGet(b *testing.B) {
	r := benchFleet(b)
	rng := rand.New(rand.NewPCG(3, 3))
	ids := make([]fleet.InstanceID, 1<<16)
	for i := range ids {
		ids[i] = benchID(rng.IntN(*benchHosts), rng.IntN(benchEach))
	}
	n := 0
	next := func() fleet.InstanceID { n++; return ids[n%len(ids)] }
	for _, c := range []struct {
		name string
		get  func(id fleet.InstanceID) bool
	}{
		{"row", func(id fleet.InstanceID) bool {
			found := r.Find(id)
			return len(found) == 1 && len(found[0].Row().Body) > 0
		}},
		{"decoded", func(id fleet.InstanceID) bool {
			in, ok := r.Find(id)[0].Instance()
			return ok && in.ID == id
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				underWrites(b, r, func() {
					percentiles(b, "", 20_000, 10, func() {
						if id := next(); !c.get(id) {
							b.Fatalf("instance %s was not found", id)
						}
					})
				})
			}
		})
	}
}

// BenchmarkReplicaPage takes pages of 100.
func BenchmarkReplicaPage(b *testing.B) {
	r := benchFleet(b)
	rng := rand.New(rand.NewPCG(4, 4))
	after := func() fleet.InstanceID { return fleet.UUID{byte(rng.IntN(200)), byte(rng.IntN(256)), 2, 3} }
	sink := 0
	touch := func(f Found) { row := f.Row(); sink += int(row.Body[0]) + int(row.Body[len(row.Body)-1]) }
	decode := func(f Found) {
		in, _ := f.Instance()
		sink += len(in.Name)
	}
	run := func(name string, n, want int, use func(Found), query func() Query) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				underWrites(b, r, func() {
					percentiles(b, "", n, 1, func() {
						q := query()
						rows, _ := r.Page(q)
						if len(rows) < want {
							b.Fatalf("%d rows of %+v", len(rows), q)
						}
						for _, f := range rows {
							use(f)
						}
					})
				})
			}
		})
	}
	byProject := func() Query {
		return Query{Project: benchProject(rng.IntN(benchProjects())), Power: fleet.PowerRunning, After: after(), Limit: 100}
	}
	run("project", 5000, 50, touch, byProject)
	run("project-decoded", 5000, 50, decode, byProject)
	run("no-filter", 5000, 100, touch, func() Query { return Query{After: after(), Limit: 100} })
	run("state", 1000, 100, touch, func() Query { return Query{Power: fleet.PowerStopped, After: after(), Limit: 100} })
	run("name-of-none", 100, 0, touch, func() Query { return Query{Name: "no such machine", Limit: 100} })
	run("name-of-one", 100, 1, touch, func() Query { return Query{Name: r.firstName(rng), Limit: 100} })
	run("label-of-none", 100, 0, touch, func() Query { return Query{Labels: map[string]string{"role": "mainframe"}, Limit: 100} })
	run("label-of-few", 100, 1, touch, func() Query {
		return Query{Labels: map[string]string{"ticket": "OPS-0" + strconv.Itoa(1000+rng.IntN(9000))}, Limit: 100}
	})
	run("labels-never-together", 100, 0, touch, func() Query {
		return Query{Labels: map[string]string{"role": "postgres", "zone": "rack-z99"}, Limit: 100}
	})
	run("label-and-state", 100, 100, touch, func() Query {
		return Query{Labels: map[string]string{"role": "postgres", "zone": "rack-a12", "tier": "staging"}, Power: fleet.PowerStopped, Limit: 100}
	})
	if sink == 0 {
		b.Error("nothing was read")
	}
}

// firstName returns the name of some instance.
func (r *Replica) firstName(rng *rand.Rand) string {
	for in := range pick(rng, r.hosts.all()).block.Load().Instances() {
		return in.Name
	}
	return ""
}

// BenchmarkReplicaApply applies changes while a reader takes pages.
func BenchmarkReplicaApply(b *testing.B) {
	r := benchFleet(b)
	for _, rows := range []int{1, 10} {
		b.Run("rows="+strconv.Itoa(rows), func(b *testing.B) {
			for b.Loop() {
				var spent, all time.Duration
				const rounds = 5
				for round := range rounds {
					mine, process := applyRound(b, r, rows, round)
					spent, all = spent+mine, all+process
				}
				applied := float64(rounds * rows * *benchHosts)
				b.ReportMetric(applied/spent.Seconds(), "rows/s")
				b.ReportMetric(applied/all.Seconds(), "rows/s-with-gc")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// applyRound changes every host once, in random order, and returns the
// processor time of the thread that applied, and that of the whole process.
func applyRound(b *testing.B, r *Replica, rows, round int) (thread, process time.Duration) {
	b.Helper()
	deltas := make([]Delta, 0, *benchHosts)
	for i, e := range r.hosts.all() {
		deltas = append(deltas, changeOf(b, e.block.Load(), rows, round*31+i))
	}
	rng := rand.New(rand.NewPCG(5, uint64(round)))
	rng.Shuffle(len(deltas), func(i, j int) { deltas[i], deltas[j] = deltas[j], deltas[i] })
	runtime.GC()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	allBefore, before := processCPU(), threadCPU()
	for i := range deltas {
		if got, err := r.Apply(deltas[i], fleet.UUID{1}, benchTime); got != Applied {
			b.Fatal(got, err)
		}
	}
	return threadCPU() - before, processCPU() - allBefore
}
