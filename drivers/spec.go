package drivers

import (
	"fmt"
	"maps"
	"slices"

	"grapevine/fleet"
)

// DiskGiB returns the size of the machine's disk in GiB: what was asked for,
// and never less than the image's own disk. 0 means that there is no disk.
func (s *Spec) DiskGiB() int64 {
	return max(s.Resources.DiskGiB, s.Image.DiskGiB())
}

// WantsGuest reports whether cloud-init is to find something: always where the
// image boots a disk, for its cloud-init would look for it and go without.
func (s *Spec) WantsGuest() bool {
	_, disk := s.Image.File(fleet.RoleDisk)
	_, kernel := s.Image.File(fleet.RoleKernel)
	return disk && !kernel || !s.Guest.IsZero()
}

// Bootable returns ErrUnsupported when a hypervisor with these features
// cannot boot the image.
func Bootable(im fleet.Image, features []Feature) error {
	need := FeatureBootDisk
	if _, ok := im.File(fleet.RoleKernel); ok {
		need = FeatureBootKernel
	}
	if _, ok := im.File(fleet.RoleISO); ok {
		need = FeatureBootISO
	}
	if slices.Contains(features, need) {
		return nil
	}
	return fmt.Errorf("%w: image %q needs %s", ErrUnsupported, im.Name, need)
}

// Buildable returns ErrUnsupported when a hypervisor with these features
// cannot make the machine, whatever else there is.
func Buildable(spec *Spec, features []Feature) error {
	if err := Bootable(spec.Image, features); err != nil {
		return err
	}
	if spec.Firmware == fleet.UEFI && !slices.Contains(features, FeatureUEFI) {
		return fmt.Errorf("%w: UEFI firmware", ErrUnsupported)
	}
	if err := spec.originable(features); err != nil {
		return err
	}
	for _, card := range spec.Cards {
		if card.VLAN != 0 && !slices.Contains(features, FeatureVLAN) {
			return fmt.Errorf("%w: VLAN %d on network %q", ErrUnsupported, card.VLAN, card.Network)
		}
	}
	return nil
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
