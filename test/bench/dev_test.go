package bench

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// BenchmarkDev measures a whole fleet in one process, from its start to the
// line that says it is ready: six hosts are what a newcomer sees first.
func BenchmarkDev(b *testing.B) {
	for _, hosts := range []int{6, 60} {
		b.Run(fmt.Sprintf("%dHosts", hosts), func(b *testing.B) { benchmarkDev(b, hosts) })
	}
}

// devRuns is how many starts the median is taken of.
const devRuns = 3

// devIdle is how long an idle fleet is looked at.
const devIdle = 10 * time.Second

func benchmarkDev(b *testing.B, hosts int) {
	b.Helper()
	for b.Loop() {
		var ready, spent []time.Duration
		for run := range devRuns {
			began := time.Now()
			pid, end := startDev(b, hosts)
			ready = append(ready, time.Since(began))
			spent = append(spent, cpuOf(b, pid))
			if run == devRuns-1 {
				idle(b, "idle CPU of the whole fleet", devIdle, pid)
				held := memoryOf(b, pid)
				report(b, "RSS anonymous", held.anon, "MiB")
				report(b, "RSS file", held.file, "MiB")
			}
			end()
		}
		report(b, "start to ready p50", quantile(ready, 0.5).Seconds(), "s")
		report(b, "CPU until ready p50", quantile(spent, 0.5).Seconds(), "cpu-s")
	}
}

// startDev starts a fleet and returns once it says that it is ready.
func startDev(b *testing.B, hosts int) (pid int, end func()) {
	b.Helper()
	path, err := binary()
	if err != nil {
		b.Fatal(err)
	}
	var problems strings.Builder
	cmd := exec.Command(path, "dev", "--hosts", fmt.Sprint(hosts), "--listen", "127.0.0.1:0")
	cmd.Stderr = &problems
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	said := bufio.NewReader(out)
	line, err := said.ReadString('\n')
	if err != nil || !strings.Contains(line, "ready") {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		b.Fatalf("the fleet did not become ready: %q, %v: %s", line, err, problems.String())
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return cmd.Process.Pid, func() {
		_ = cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			b.Errorf("the fleet ended with %v: %s", err, problems.String())
		}
	}
}

// idle reports the processor time that processes spend while nothing is asked
// of them.
func idle(b *testing.B, what string, within time.Duration, pids ...int) {
	b.Helper()
	before, began := cpuOf(b, pids...), time.Now()
	time.Sleep(within)
	spent := cpuOf(b, pids...) - before
	report(b, what, 100*spent.Seconds()/time.Since(began).Seconds(), "%-of-a-core")
}
