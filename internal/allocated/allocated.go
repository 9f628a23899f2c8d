// Package allocated measures how much memory a call takes, for tests that hold
// decoders to a bound: what they take must follow from what they were sent, and
// not from what it says of itself.
package allocated

import "runtime/metrics"

// Bytes returns how many bytes of heap were allocated while do ran, whoever took
// them and whether or not they were given back. Small pieces are counted late, so
// that some hundred KiB of earlier calls may be among them: a bound below 1 MiB
// is none. It does not stop the world.
func Bytes(do func()) uint64 {
	before := total()
	do()
	return total() - before
}

func total() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
