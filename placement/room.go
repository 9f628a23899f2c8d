package placement

import (
	"math"
	"math/bits"

	"grapevine/fleet"
)

// room is what a choice looks at of a host: 16 B, so that those of a whole
// fleet lie in a core's own cache. It never lacks what fleet.Fits finds free;
// fleet.Fits judges the row of what is chosen.
type room struct {
	memory, disk                   int32 // free, or as much of it as can be said
	vcpus                          int16 // likewise
	vcpuPart, memoryPart, diskPart part
}

func newRoom(c *fleet.Capacity) room {
	return room{
		memory: clamp(c.MemoryMiB.Free), disk: clamp(c.DiskGiB.Free), vcpus: clampVCPUs(c.VCPUs.Free),
		vcpuPart: partOf(&c.VCPUs), memoryPart: partOf(&c.MemoryMiB), diskPart: partOf(&c.DiskGiB),
	}
}

// clamp keeps order, and all differences below 2 PiB of memory.
func clamp(n int64) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// clampVCPUs is clamp for vCPUs, of which no host has many.
func clampVCPUs(n int64) int16 { return int16(min(max(n, math.MinInt16), math.MaxInt16)) }

// part is what one unit of a resource is of the host's, as Score counts: eleven
// bits, and below them by how many more than ten they are shifted down.
type part uint16

func partOf(a *fleet.Amount) part {
	size := uint64(sizeOf(a))
	shift := min(bits.Len64(size-1), 31)
	return part(1<<(10+shift)/size<<5) | part(shift)
}

// times returns which part n units are, in parts of 1<<20.
func (p part) times(n int64) int64 { return n * int64(p>>5) << 10 >> (p & 31) }

// sizeOf is what Score divides by.
func sizeOf(a *fleet.Amount) int64 { return max(a.Total-a.Reserved, a.Free, 0) + 1 }

// need is a request's resources as they are compared with rooms. Nothing asked
// is nothing required, also of an overfull host, as in fleet.Fits.
type need struct {
	memory, disk int32 // required
	vcpus        int16
	asked        fleet.Resources
}

func newNeed(r fleet.Resources) need {
	return need{memory: clamp(required(r.MemoryMiB)), disk: clamp(required(r.DiskGiB)), vcpus: clampVCPUs(required(r.VCPUs)), asked: r}
}

func required(n int64) int64 {
	if n <= 0 {
		return math.MinInt64
	}
	return n
}

// holds reports whether there is room for the need.
func (r *room) holds(n *need) bool {
	return n.vcpus <= r.vcpus && n.memory <= r.memory && n.disk <= r.disk
}

// score orders rooms as Score orders hosts.
func (r *room) score(how fleet.Strategy, n *need) int64 {
	if how == fleet.Pack {
		return -int64(max(r.memory, 0))
	}
	score := min(r.vcpuPart.times(int64(r.vcpus)-n.asked.VCPUs+1), r.memoryPart.times(int64(r.memory)-n.asked.MemoryMiB+1))
	if n.asked.DiskGiB > 0 {
		score = min(score, r.diskPart.times(int64(r.disk)-n.asked.DiskGiB+1))
	}
	return score
}

// buckets is into how many ranges free memory is divided: four to each
// doubling, from 128 MiB to 6 TiB. Their bounds include every power of two and
// its quarters, which flavors mostly are.
const buckets = 64

// bucketOf returns the bucket of so much free memory. It never falls as memory
// rises, so who has enough is in the request's own bucket or a higher one.
func bucketOf(mib int32) int32 {
	const first = 7 // 128 MiB = 1 << 7
	if mib < 1<<first {
		return 0
	}
	doubling := bits.Len32(uint32(mib)) - 1
	quarter := int(mib>>(doubling-2)) & 3
	return int32(min(1+4*(doubling-first)+quarter, buckets-1))
}
