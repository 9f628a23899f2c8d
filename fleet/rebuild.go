package fleet

// Rebuild is the body of a request to make an instance's first disk anew.
type Rebuild struct {
	// Image is what the disk is made from: an id, or a name that matches one
	// digest; the image that the instance was made from when empty.
	Image string `json:"image,omitempty"`
	// Guest is what cloud-init is to find. Where nothing of it is given it finds
	// what it was given before, all of it; where something is, only that.
	Guest
}

// VerbRebuild is the verb of the operation that rebuilds an instance.
const VerbRebuild = "rebuild"

// BootsKernel reports whether a machine made from the image boots its kernel,
// and not a disk or a CD.
func (im *Image) BootsKernel() bool {
	_, kernel := im.File(RoleKernel)
	return kernel
}
