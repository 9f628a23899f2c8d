package fleet

// The formats of an image's disk.
const (
	FormatRaw   = "raw"
	FormatQCOW2 = "qcow2"
	FormatVMDK  = "vmdk"
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

// ObtainTrait of an image with a disk begins with TraitImagePrefix; of one
// without, it is TraitImageISO or TraitImageKernel.
const (
	TraitImagePrefix = "image-"
	TraitImageKernel = TraitImagePrefix + "kernel"
	TraitImageISO    = TraitImagePrefix + "iso"
)
