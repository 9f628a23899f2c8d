package wire

import "fmt"

// Digests divide hosts by their tags: 256 buckets by the first byte, and each
// bucket into 16 parts by the next four bits.
const (
	Buckets       = 256
	PartsOfBucket = 16
	Parts         = Buckets * PartsOfBucket
)

// Bucket returns the digest bucket that the tag falls into.
func (t Tag) Bucket() int { return int(t >> 24) }

// Part returns the part of its bucket, counted over all buckets, that the tag
// falls into.
func (t Tag) Part() int { return int(t >> 20) }

// Cover is a set of parts.
type Cover [Parts / 8]byte

// Add puts a part in.
func (c *Cover) Add(part int) { c[part/8] |= 1 << (part % 8) }

// AddBucket puts all parts of a bucket in.
func (c *Cover) AddBucket(bucket int) {
	for part := bucket * PartsOfBucket; part < (bucket+1)*PartsOfBucket; part++ {
		c.Add(part)
	}
}

// Has reports whether the part is in.
func (c *Cover) Has(part int) bool { return c[part/8]&(1<<(part%8)) != 0 }

// runs returns the set as pairs: how many parts are out, then how many are in.
func (c *Cover) runs() []uint32 {
	var runs []uint32
	in, length := false, uint32(0)
	for part := range Parts {
		if c.Has(part) != in {
			runs = append(runs, length)
			in, length = !in, 0
		}
		length++
	}
	if in {
		runs = append(runs, length)
	}
	return runs
}

func coverOf(runs []uint32) (Cover, error) {
	var c Cover
	part, in := 0, false
	for _, length := range runs {
		if int(length) > Parts-part {
			return c, fmt.Errorf("parts past the last, %d", Parts)
		}
		for range length {
			if in {
				c.Add(part)
			}
			part++
		}
		in = !in
	}
	return c, nil
}
