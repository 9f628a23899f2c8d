package placement

import (
	"math"
	"math/bits"

	"grapevine/fleet"
)

// room is what a choice looks at of a host: 32 B, half a cache line, where a
// row is six lines and points to more. It never lacks what fleet.Fits finds
// free; fleet.Fits judges the row of what is chosen.
type room struct {
	vcpus, memory, disk int32 // free, or as much of it as can be said
	// parts are what one unit of each resource is of the host, as Score counts.
	vcpuPart, memoryPart, diskPart float32
	slot                           int32 // whose it is
	_                              int32
}

// newRoom returns the room of the host in this slot.
func newRoom(slot int32, c *fleet.Capacity) room {
	return room{
		vcpus: clamp(c.VCPUs.Free), memory: clamp(c.MemoryMiB.Free), disk: clamp(c.DiskGiB.Free),
		vcpuPart: 1 / float32(sizeOf(&c.VCPUs)), memoryPart: 1 / float32(sizeOf(&c.MemoryMiB)), diskPart: 1 / float32(sizeOf(&c.DiskGiB)),
		slot: slot,
	}
}

// clamp keeps order, and all differences below 2 PiB of memory.
func clamp(n int64) int32 { return int32(min(max(n, math.MinInt32), math.MaxInt32)) }

// sizeOf is what Score divides by.
func sizeOf(a *fleet.Amount) float64 { return float64(max(a.Total-a.Reserved, a.Free, 0) + 1) }

// need is a request's resources as they are compared with rooms. Nothing asked
// is nothing required, also of an overfull host, as in fleet.Fits.
type need struct {
	vcpus, memory, disk int32 // required
	asked               fleet.Resources
}

func newNeed(r fleet.Resources) need {
	return need{vcpus: required(r.VCPUs), memory: required(r.MemoryMiB), disk: required(r.DiskGiB), asked: r}
}

func required(n int64) int32 {
	if n <= 0 {
		return math.MinInt32
	}
	return clamp(n)
}

// holds reports whether there is room for the need.
func (r *room) holds(n *need) bool {
	return n.vcpus <= r.vcpus && n.memory <= r.memory && n.disk <= r.disk
}

// score orders rooms as Score orders hosts.
func (r *room) score(how fleet.Strategy, n *need) float32 {
	if how == fleet.Pack {
		return -float32(max(r.memory, 0))
	}
	score := min(float32(int64(r.vcpus)-n.asked.VCPUs+1)*r.vcpuPart, float32(int64(r.memory)-n.asked.MemoryMiB+1)*r.memoryPart)
	if n.asked.DiskGiB > 0 {
		score = min(score, float32(int64(r.disk)-n.asked.DiskGiB+1)*r.diskPart)
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
