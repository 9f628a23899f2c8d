package drivers

import (
	"fmt"
	"maps"
	"slices"

	"grapevine/fleet"
)

// gib is one GiB in bytes.
const gib = 1 << 30

// DiskGiB returns the size of the machine's disk in GiB: what was asked for,
// and never less than the image's own disk. 0 means that there is no disk.
func (s *Spec) DiskGiB() int64 {
	disk, _ := s.Image.File(fleet.RoleDisk)
	return max(s.Resources.DiskGiB, (disk.VirtualBytes+gib-1)/gib)
}

// Bootable returns ErrUnsupported when a hypervisor with these features
// cannot boot the image.
func Bootable(im fleet.Image, features []Feature) error {
	need := FeatureBootDisk
	if _, ok := im.File(fleet.RoleKernel); ok {
		need = FeatureBootKernel
	}
	if slices.Contains(features, need) {
		return nil
	}
	return fmt.Errorf("%w: image %q needs %s", ErrUnsupported, im.Name, need)
}

// Clone returns a copy that shares nothing with m; nil for nil.
func (m *Mark) Clone() *Mark {
	if m == nil {
		return nil
	}
	c := *m
	c.Labels = maps.Clone(m.Labels)
	return &c
}
