package fleet

import "fmt"

// Disk is a disk that an instance has beside its first.
type Disk struct {
	SizeGiB int64 `json:"size_gib"`
	// Image is what it begins as, a copy of that image's disk: in a create an id, or
	// a name that matches one digest. Empty: it begins empty.
	Image string `json:"image,omitempty"`
}

// CheckDisks judges the further disks that a person asks for.
func CheckDisks(disks []Disk) error {
	if len(disks) > MaxDisks {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%d further disks; at most %d are allowed", len(disks), MaxDisks)}
	}
	for i, d := range disks {
		if d.SizeGiB == 0 && d.Image != "" {
			continue // as large as the image's
		}
		if d.SizeGiB < 1 || d.SizeGiB > MaxDiskGiB {
			return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("further disk %d has size_gib %d; it must be 1 to %d", i+1, d.SizeGiB, int64(MaxDiskGiB))}
		}
	}
	return nil
}

// DisksGiB is what disks take together.
func DisksGiB(disks []Disk) int64 {
	var sum int64
	for _, d := range disks {
		sum += d.SizeGiB
	}
	return sum
}

// WholeGiB is a size in GiB, rounded up, as disks are counted.
func WholeGiB(bytes int64) int64 {
	const gib = 1 << 30
	return (bytes + gib - 1) / gib
}
