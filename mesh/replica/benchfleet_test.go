package replica

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"grapevine/fleet"
	"grapevine/mesh/replica/replicatest"
	"grapevine/mesh/wire"
)

// The benchmarks load the fleet of replicatest.
const benchEach = replicatest.Each

// benchHosts is the size plan; fewer, for a quick look, with -args -hosts=N.
var benchHosts = flag.Int("hosts", fleet.MaxHosts, "hosts of the benchmarks' fleet")

var benchTime = replicatest.Time

func benchFleetPlan() replicatest.Fleet { return replicatest.Fleet{Hosts: *benchHosts} }

func benchProjects() int { return benchFleetPlan().Projects() }

func benchHostID(n int) fleet.HostID { return replicatest.HostID(n) }

func benchID(host, n int) fleet.InstanceID { return replicatest.InstanceID(host, n) }

func benchProject(n int) string { return replicatest.Project(n) }

var unknownField = replicatest.UnknownField

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }

// benchBlock returns the block of a host.
func benchBlock(tb testing.TB, host int) *Block {
	tb.Helper()
	var own []OwnRow
	for _, row := range benchFleetPlan().Rows(host) {
		own = append(own, OwnRow(row))
	}
	o := NewOrigin(benchHostID(host))
	o.Begin(1, 1)
	b, _, err := o.Next(own)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// writeBlock writes a block's head and rows.
func writeBlock(out *bufio.Writer, b *Block) error {
	head := binary.AppendUvarint(append([]byte(nil), b.head.Host[:]...), uint64(b.head.Count))
	head = binary.AppendUvarint(append(head, b.head.Hash[:]...), uint64(b.rows.live))
	_, err := out.Write(head)
	for _, row := range b.Rows() {
		if err == nil {
			_, err = out.Write(wire.AppendRow(nil, &row))
		}
	}
	return err
}

// blockReader reads what writeBlock wrote. Each block's rows stand where those
// of the block before stood, as in a link's buffer: the replica keeps none.
type blockReader struct {
	in   *bufio.Reader
	buf  []byte
	rows []Row
}

func (r *blockReader) next() (Delta, error) {
	d := Delta{Form: wire.Whole, Head: Head{Epoch: 1, Incarnation: 1, Seq: 1}}
	if _, err := io.ReadFull(r.in, d.Head.Host[:]); err != nil {
		return d, err
	}
	count, err := binary.ReadUvarint(r.in)
	if err != nil {
		return d, err
	}
	if _, err := io.ReadFull(r.in, d.Head.Hash[:]); err != nil {
		return d, err
	}
	size, err := binary.ReadUvarint(r.in)
	if err != nil {
		return d, err
	}
	r.buf = slices.Grow(r.buf[:0], int(size))[:size]
	if _, err := io.ReadFull(r.in, r.buf); err != nil {
		return d, err
	}
	r.rows = r.rows[:0]
	for rest := r.buf; len(rest) > 0; {
		row, n := wire.RowAt(rest)
		r.rows, rest = append(r.rows, row), rest[n:]
	}
	d.Head.Count, d.Rows = int(count), r.rows
	return d, nil
}

// fleetFile is all blocks, written once, in a file without a
// name; a process that only weighs a replica gets it as its first extra file.
var fleetFile = struct {
	sync.Once
	file *os.File
}{}

const fleetFromParent = "GRAPEVINE_BENCH_FLEET"

func openFleet(tb testing.TB) *os.File {
	tb.Helper()
	fleetFile.Do(func() {
		if os.Getenv(fleetFromParent) != "" {
			fleetFile.file = os.NewFile(3, "fleet")
			return
		}
		f, err := os.CreateTemp("", "fleet") //nolint:usetesting // it outlives the benchmark that asks for it first, and has no name
		if err != nil {
			tb.Fatal(err)
		}
		defer os.Remove(f.Name())
		out := bufio.NewWriterSize(f, 1<<20)
		for host := range *benchHosts {
			if err := writeBlock(out, benchBlock(tb, host)); err != nil {
				tb.Fatal(err)
			}
		}
		if err := out.Flush(); err != nil {
			tb.Fatal(err)
		}
		fleetFile.file = f
	})
	return fleetFile.file
}

// loadFleet returns a replica of the whole fleet, and the processor time that
// applying its blocks took.
func loadFleet(tb testing.TB) (*Replica, time.Duration) {
	tb.Helper()
	r, spent := New(), time.Duration(0)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	in := blockReader{in: bufio.NewReaderSize(io.NewSectionReader(openFleet(tb), 0, 1<<40), 1<<16)}
	for range *benchHosts {
		d, err := in.next()
		if err != nil {
			tb.Fatal(err)
		}
		before := threadCPU()
		if got, err := r.Apply(d, fleet.UUID{1}, benchTime); got != Applied {
			tb.Fatal(got, err)
		}
		spent += threadCPU() - before
	}
	return r, spent
}

// sharedFleet is loaded once for the benchmarks that only look.
var sharedFleet = struct {
	sync.Once
	r *Replica
}{}

func benchFleet(tb testing.TB) *Replica {
	tb.Helper()
	sharedFleet.Do(func() { sharedFleet.r, _ = loadFleet(tb) })
	return sharedFleet.r
}

// threadCPU is the processor time of the calling thread, which must be locked.
func threadCPU() time.Duration { return cpuClock(3) } // CLOCK_THREAD_CPUTIME_ID

// processCPU is the processor time of all threads, the collector's included.
func processCPU() time.Duration { return cpuClock(2) } // CLOCK_PROCESS_CPUTIME_ID

func cpuClock(id uintptr) time.Duration {
	var t syscall.Timespec
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&t)), 0); errno != 0 {
		panic(errno)
	}
	return time.Duration(t.Nano())
}

// changeOf returns a delta that changes the power and the task of n instances
// of a block, as a peer's frame brings it.
func changeOf(tb testing.TB, held *Block, n, salt int) Delta {
	tb.Helper()
	d := Delta{Form: wire.Changes, Since: held.head.Seq, Head: held.head}
	d.Head.Seq++
	span := held.rows.instances
	for i := range n {
		at := span.from + (salt+i*((span.to-span.from)/n))%(span.to-span.from)
		row := held.rows.row(at)
		row.Seq = d.Head.Seq
		power := byte(1 + (salt+i)%6)
		row.Body = setPower(row.Body, power)
		d.Rows = append(d.Rows, row)
	}
	slices.SortFunc(d.Rows, func(a, b Row) int { return a.Compare(b.Key) })
	next, err := changed(held, d, elsewhere())
	if err != nil {
		tb.Fatal(err)
	}
	d.Head = next.head
	return d
}

// setPower returns the body with another number for its power: field 6.
func setPower(body []byte, power byte) []byte {
	out := bytes.Clone(body)
	at := bytes.Index(out, []byte{6 << 3})
	for ; at >= 0; at++ {
		if out[at] == 6<<3 && out[at+1] < 7 && out[at+2] == 7<<3 {
			out[at+1] = power
			return out
		}
	}
	panic("no power in the body")
}
