package bench

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// figures are what the benchmarks of this run found, for the end.
var figures struct {
	mu    sync.Mutex
	lines []figure
}

// figure is one number with its unit, or a sentence instead of one.
type figure struct {
	benchmark, what, value string
}

// report gives a number to the benchmark's own line and to the list at the
// end. The unit, with what is measured, must be one word for the former.
func report(b *testing.B, what string, value float64, unit string) {
	b.Helper()
	b.ReportMetric(value, strings.ReplaceAll(what, " ", "-")+"-"+unit)
	note(b, what, fmt.Sprintf("%.*f %s", digits(value), value, unit))
}

// note puts a sentence on the list at the end.
func note(b *testing.B, what, value string) {
	b.Helper()
	figures.mu.Lock()
	defer figures.mu.Unlock()
	name := strings.TrimPrefix(b.Name(), "Benchmark")
	figures.lines = append(figures.lines, figure{benchmark: name, what: what, value: value})
}

// digits is how many decimals a number is worth: three figures in all.
func digits(v float64) int {
	switch {
	case v >= 100:
		return 0
	case v >= 10:
		return 1
	case v >= 1:
		return 2
	default:
		return 4
	}
}

func printFigures(w io.Writer) {
	figures.mu.Lock()
	defer figures.mu.Unlock()
	if len(figures.lines) == 0 {
		return
	}
	fmt.Fprintln(w, "\nFigures")
	benchmark := ""
	for _, f := range figures.lines {
		if f.benchmark != benchmark {
			benchmark = f.benchmark
			fmt.Fprintf(w, "\n%s\n", benchmark)
		}
		fmt.Fprintf(w, "  %-52s %s\n", f.what, f.value)
	}
	fmt.Fprintln(w)
}

// quantile returns the q-quantile of the durations by nearest rank.
func quantile(all []time.Duration, q float64) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	rank := int(q*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func TestQuantileIsByNearestRank(t *testing.T) {
	var all []time.Duration
	for i := 100; i > 0; i-- {
		all = append(all, time.Duration(i))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(all, q); got != want {
			t.Errorf("quantile %g: got %d, want %d", q, got, want)
		}
	}
	if got := quantile([]time.Duration{3, 1, 2}, 0.5); got != 2 {
		t.Errorf("got %d as the median of three, want the middle one", got)
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// binary is the program that is measured: built once, when a benchmark first
// needs it, the way a release is. GRAPEVINE_BENCH_BINARY names another one.
var binary = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("GRAPEVINE_BENCH_BINARY"); path != "" {
		return path, nil
	}
	path := filepath.Join(scratch, "grapevine")
	build := exec.Command("go", "build", "-trimpath", "-tags", "nomsgpack", "-ldflags", "-s -w", "-o", path, "grapevine/cmd/grapevine")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the binary: %w\n%s", err, out)
	}
	return path, nil
})

// scratch is a folder for the whole run. Its name is short, since it comes
// before the paths of sockets.
var scratch string

func TestMain(m *testing.M) {
	if wish := os.Getenv(crowdVariable); wish != "" {
		if err := beCrowd(wish); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var err error
	if scratch, err = os.MkdirTemp("", "gv-bench-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	printFigures(os.Stdout)
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}
