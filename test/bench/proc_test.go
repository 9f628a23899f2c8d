package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clockTick is the unit of processor time in /proc: USER_HZ, which is 100 on
// every platform that Go supports.
const clockTick = 10 * time.Millisecond

// memory is what a process holds, in MiB: its own pages, and those of files,
// which processes of one binary share. Their sum is its RSS. Pss counts each
// page by the part that is its own when processes share it.
type memory struct{ anon, file, pss float64 }

// cpuOf returns the processor time that the processes have spent, all threads,
// user and system.
func cpuOf(tb testing.TB, pids ...int) time.Duration {
	tb.Helper()
	var sum time.Duration
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			tb.Fatalf("read processor time: %v", err)
		}
		spent, err := parseStat(string(stat))
		if err != nil {
			tb.Fatalf("read processor time of %d: %v", pid, err)
		}
		sum += spent
	}
	return sum
}

// parseStat reads utime and stime, fields 14 and 15 of /proc/PID/stat. The
// program's name before them may hold spaces and parentheses.
func parseStat(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("not a line of /proc/PID/stat: %q", stat)
	}
	var ticks uint64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("parse %q: %w", stat, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * clockTick, nil
}

// memoryOf returns what a process holds.
func memoryOf(tb testing.TB, pid int) memory {
	tb.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatalf("read memory: %v", err)
	}
	rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		tb.Fatalf("read memory: %v", err)
	}
	return memory{
		anon: statusMiB(tb, string(status), "RssAnon"), file: statusMiB(tb, string(status), "RssFile"),
		pss: statusMiB(tb, string(rollup), "Pss"),
	}
}

// and returns what two processes hold together.
func (m memory) and(o memory) memory {
	return memory{anon: m.anon + o.anon, file: m.file + o.file, pss: m.pss + o.pss}
}

func statusMiB(tb testing.TB, status, key string) float64 {
	tb.Helper()
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		if name != key {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			tb.Fatalf("parse %q: %v", line, err)
		}
		return kib / 1024
	}
	tb.Fatalf("the kernel does not tell %s of a process", key)
	return 0
}

func TestProcessorTimeIsReadBehindAnyProgramName(t *testing.T) {
	const stat = "42 (a) b (c 1) S 1 42 42 0 -1 4194560 900 0 1 0 250 75 3 4 20 0 11 0 77 1234 567 18446744073709551615"
	got, err := parseStat(stat)
	if err != nil || got != 3250*time.Millisecond {
		t.Errorf("got %s, %v; want 3.25s", got, err)
	}
	if _, err := parseStat("42 (a) S 1"); err == nil {
		t.Error("a short line was taken")
	}
}

func TestMemoryIsToldApart(t *testing.T) {
	m := memoryOf(t, os.Getpid())
	if m.anon <= 0 || m.file <= 0 || m.pss <= 0 || m.pss > m.anon+m.file+1 {
		t.Errorf("got %+v of this process, want all above 0 and no more of its own than in all", m)
	}
}
