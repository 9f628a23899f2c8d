package fleet

import (
	"fmt"
	"regexp"
)

var imageID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// IsImageID reports whether s has the form of an image's id, a SHA-256 in
// lower-case hexadecimal digits.
func IsImageID(s string) bool { return imageID.MatchString(s) }

// Validate judges a create as a person sent it, before any name in it is
// resolved.
func (c *Create) Validate() error {
	if err := CheckName("name", c.Name); err != nil {
		return err
	}
	if c.Project != "" {
		if err := CheckName("project", c.Project); err != nil {
			return err
		}
	}
	if err := CheckBooting(c.Booting); err != nil {
		return err
	}
	if err := checkWishes(c.HostLabels, c.Traits); err != nil {
		return err
	}
	if c.Source != "" {
		return c.validateClone()
	}
	if c.Flavor == "" {
		return &Error{Code: CodeInvalid, Detail: "flavor is empty; list them with: grapevine flavor list"}
	}
	if c.Image == "" {
		return &Error{Code: CodeInvalid, Detail: "image is empty; list them with: grapevine image list"}
	}
	if err := c.Hypervisor.Validate(); c.Hypervisor != "" && err != nil {
		return err
	}
	if err := c.Firmware.Validate(); err != nil {
		return err
	}
	return checkParts(c.Labels, c.Networks, c.Disks, &c.Guest)
}

// validateClone judges what is asked for beside the source.
func (c *Create) validateClone() error {
	if _, err := ParseUUID(c.Source); err != nil {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("source %.80q is not the id of an instance", c.Source)}
	}
	if c.Flavor != "" || c.Image != "" || c.Firmware != "" || len(c.Disks) > 0 || c.Hypervisor != "" || c.Zone != "" || len(c.HostLabels) > 0 || len(c.Traits) > 0 {
		return &Error{Code: CodeInvalid, Detail: "a clone has the flavor, image, disks and firmware of its source, and is made at its host; leave them, hypervisor, zone, host labels and traits out"}
	}
	return checkParts(c.Labels, c.Networks, nil, &c.Guest)
}

// checkParts judges what a create and a request have in common.
func checkParts(labels map[string]string, networks []NIC, disks []Disk, guest *Guest) error {
	if err := CheckLabels(labels); err != nil {
		return err
	}
	if err := CheckNICs(networks); err != nil {
		return err
	}
	if err := CheckDisks(disks); err != nil {
		return err
	}
	return guest.Validate()
}

// Validate judges a hypervisor's name.
func (h Hypervisor) Validate() error {
	switch h {
	case KVM, Xen, ESXi:
		return nil
	default:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("hypervisor %.40q is not one of kvm, xen, esxi", string(h))}
	}
}

// Validate judges sizes: at least one vCPU and one MiB, nothing negative,
// nothing past the limits.
func (r Resources) Validate() error {
	for _, part := range []struct {
		name            string
		value, low, top int64
	}{
		{"vcpus", r.VCPUs, 1, MaxVCPUs},
		{"memory_mib", r.MemoryMiB, 1, MaxMemoryMiB},
		{"disk_gib", r.DiskGiB, 0, MaxDiskGiB},
	} {
		if part.value < part.low || part.value > part.top {
			return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%s is %d; it must be %d to %d", part.name, part.value, part.low, part.top)}
		}
	}
	return nil
}

// Validate judges a resolved request as a host receives it.
func (r *Request) Validate() error {
	if r.ID.IsZero() {
		return &Error{Code: CodeInvalid, Detail: "the request names no instance id"}
	}
	if err := CheckName("name", r.Name); err != nil {
		return err
	}
	if err := CheckName("project", r.Project); err != nil {
		return err
	}
	if !IsImageID(r.Image) {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("image %.80q is not an image id of 64 hexadecimal digits", r.Image)}
	}
	if err := CheckBooting(r.Booting); err != nil {
		return err
	}
	if err := r.Resources.Validate(); err != nil {
		return err
	}
	if err := r.Firmware.Validate(); err != nil {
		return err
	}
	for _, d := range r.Disks {
		if d.Image != "" && (!IsImageID(d.Image) || d.SizeGiB < 1) {
			return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("a further disk of %d GiB begins as image %.80q; give the image's id and a size", d.SizeGiB, d.Image)}
		}
	}
	if err := r.Group.validate(); err != nil {
		return err
	}
	if further := DisksGiB(r.Disks); further > r.DiskGiB {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("disk_gib is %d, and the further disks alone take %d", r.DiskGiB, further)}
	}
	if err := checkWishes(r.HostLabels, r.Traits); err != nil {
		return err
	}
	return checkParts(r.Labels, r.Networks, r.Disks, &r.Guest)
}

// checkWishes judges what is asked of the host by name.
func checkWishes(labels map[string]string, traits []string) error {
	if err := CheckLabels(labels); err != nil {
		return &Error{Code: CodeInvalid, Detail: "host_labels: " + err.Error()}
	}
	return CheckTraits(traits)
}
