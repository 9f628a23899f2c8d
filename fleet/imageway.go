package fleet

import "slices"

// The formats of an image's disk.
const (
	FormatRaw   = "raw"
	FormatQCOW2 = "qcow2"
	FormatVMDK  = "vmdk"
	FormatVHD   = "vhd" // of Virtual PC and Hyper-V; not VHDX
)

// TraitImageSource is the trait of hosts that give the images they hold to
// other hosts.
const TraitImageSource = "image-source"

// ObtainTrait returns the trait of hosts that can take the image from another
// host and boot it, as far as its disk's format goes: image-qcow2 and so on,
// image-iso of an ISO, image-kernel where there is neither.
func ObtainTrait(im *Image) string {
	if disk, ok := im.File(RoleDisk); ok {
		return TraitImagePrefix + disk.Format
	}
	if _, ok := im.File(RoleISO); ok {
		return TraitImageISO
	}
	return TraitImageKernel
}

// StoredFile is File of what this holder keeps: its own form of a disk that it
// had to convert.
func (im *Image) StoredFile(role ImageRole) (ImageFile, bool) {
	if im.Stored != nil && im.Stored.Role == role {
		return *im.Stored, true
	}
	return im.File(role)
}

// StoredFiles is Files of what this holder keeps.
func (im *Image) StoredFiles() []ImageFile {
	files := slices.Clone(im.Files)
	for i := range files {
		files[i], _ = im.StoredFile(files[i].Role)
	}
	return files
}

// checkStored judges the form that a holder has given to the disk.
func (im *Image) checkStored() string {
	switch _, disk := im.File(RoleDisk); {
	case im.Stored == nil:
		return ""
	case !disk || im.Stored.Role != RoleDisk:
		return "what is stored in place of its disk is no disk"
	case !IsImageID(im.Stored.SHA256), im.Stored.Bytes <= 0, !isDiskFormat(im.Stored.Format):
		return "what is stored in place of its disk is not described in full"
	}
	return ""
}

func isDiskFormat(format string) bool {
	return format == FormatRaw || format == FormatQCOW2 || format == FormatVMDK || format == FormatVHD
}

// ObtainTrait of an image with a disk begins with TraitImagePrefix; of one
// without, it is TraitImageISO or TraitImageKernel.
const (
	TraitImagePrefix = "image-"
	TraitImageKernel = TraitImagePrefix + "kernel"
	TraitImageISO    = TraitImagePrefix + "iso"
)
