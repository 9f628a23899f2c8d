package fleet

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"
)

// ImageRole says what a file of an image is for.
type ImageRole string

// The roles. A bootable image has a disk, a kernel (with or without an initrd
// and a disk), or an ISO, which lies in the CD drive of a machine whose disk is
// empty: so installers are run.
const (
	RoleDisk   ImageRole = "disk"
	RoleKernel ImageRole = "kernel"
	RoleInitrd ImageRole = "initrd"
	RoleISO    ImageRole = "iso"
)

// ImageFile is one file of an image.
type ImageFile struct {
	Role   ImageRole `json:"role"`
	SHA256 string    `json:"sha256"` // 64 hexadecimal digits
	Bytes  int64     `json:"bytes"`
	// Format of a disk: raw, qcow2, vmdk or vhd; empty for the other roles.
	Format string `json:"format,omitempty"`
	// VirtualBytes is the size a guest sees of a disk; 0 for the other roles.
	VirtualBytes int64 `json:"virtual_bytes,omitempty"`
}

// Image is immutable: its id is the digest of its content.
type Image struct {
	// ID is the SHA-256 of the content: see ImageID.
	ID      string      `json:"id"`
	Name    string      `json:"name"`
	Files   []ImageFile `json:"files"`
	Cmdline string      `json:"cmdline,omitempty"` // kernel command line
	// Stored is what this holder keeps in place of the disk, where it had to convert
	// it. Such a holder gives the image to nobody.
	Stored *ImageFile `json:"stored,omitempty"`
	// Bytes is the sum over the files.
	Bytes int64 `json:"bytes"`
	// CreatedAt is when the holder took it in, by the holder's clock.
	CreatedAt time.Time `json:"created_at"`
	// Hosts lists the holders; an overlay, gathered from their rows.
	Hosts []HostID `json:"hosts,omitempty"`
}

// File returns the image's file with this role.
func (im *Image) File(role ImageRole) (ImageFile, bool) {
	for _, f := range im.Files {
		if f.Role == role {
			return f, true
		}
	}
	return ImageFile{}, false
}

// DiskGiB returns how large a disk the image needs, in whole GiB; 0 where it
// brings none.
func (im *Image) DiskGiB() int64 {
	disk, _ := im.File(RoleDisk)
	size := disk.VirtualBytes
	if disk.Format == FormatRaw {
		size = max(size, disk.Bytes) // what a guest sees of a raw disk is all of it
	}
	return WholeGiB(size)
}

// ImageID returns the id of an image with these files and kernel command
// line. The id of a lone disk or ISO is its own SHA-256, so that anyone can check
// it with sha256sum; otherwise it is the SHA-256 of one line per file, in the
// order kernel, initrd, disk, iso, of role and digest, and of the command line.
func ImageID(files []ImageFile, cmdline string) string {
	if len(files) == 1 && (files[0].Role == RoleDisk || files[0].Role == RoleISO) && cmdline == "" {
		return files[0].SHA256
	}
	h := sha256.New()
	for _, role := range []ImageRole{RoleKernel, RoleInitrd, RoleDisk, RoleISO} {
		for _, f := range files {
			if f.Role == role {
				fmt.Fprintf(h, "%s %s\n", f.Role, f.SHA256)
			}
		}
	}
	fmt.Fprintf(h, "cmdline %s\n", cmdline)
	return hex.EncodeToString(h.Sum(nil))
}

// Validate judges an image's manifest: a kernel or a disk, no role twice,
// well-formed digests and sizes, and an id that is that of the content.
func (im *Image) Validate() error {
	bad := func(format string, args ...any) error {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("image %.80q: ", im.Name) + fmt.Sprintf(format, args...)}
	}
	if err := CheckName("image name", im.Name); err != nil {
		return err
	}
	seen := map[ImageRole]bool{}
	for _, f := range im.Files {
		switch {
		case f.Role != RoleDisk && f.Role != RoleKernel && f.Role != RoleInitrd && f.Role != RoleISO:
			return bad("file role %.40q is not one of kernel, initrd, disk, iso", string(f.Role))
		case seen[f.Role]:
			return bad("two files with role %s; give one", f.Role)
		case !IsImageID(f.SHA256):
			return bad("the %s's sha256 %.80q is not 64 lower-case hexadecimal digits", f.Role, f.SHA256)
		case f.Bytes <= 0:
			return bad("the %s is %d bytes long; it must have content", f.Role, f.Bytes)
		case f.Role == RoleDisk && !isDiskFormat(f.Format):
			return bad("disk format %.40q is not one of raw, qcow2, vmdk, vhd", f.Format)
		}
		seen[f.Role] = true
	}
	switch {
	case seen[RoleISO] && len(im.Files) > 1:
		return bad("it has an ISO and other files; an ISO is an image by itself")
	case !seen[RoleDisk] && !seen[RoleKernel] && !seen[RoleISO]:
		return bad("it has neither a disk nor a kernel nor an ISO; give at least one")
	case seen[RoleInitrd] && !seen[RoleKernel]:
		return bad("it has an initrd and no kernel; give both")
	case im.Cmdline != "" && !seen[RoleKernel]:
		return bad("it has a kernel command line and no kernel; give both")
	case len(im.Cmdline) > MaxCmdlineBytes:
		return bad("the kernel command line is %d bytes long; at most %d are allowed", len(im.Cmdline), MaxCmdlineBytes)
	case im.checkStored() != "":
		return bad("%s", im.checkStored())
	case im.ID != ImageID(im.Files, im.Cmdline):
		return bad("id %.64q is not the digest of its content, %s", im.ID, ImageID(im.Files, im.Cmdline))
	}
	return nil
}
