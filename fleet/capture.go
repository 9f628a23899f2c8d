package fleet

// TraitReadDisks is the trait of hosts that read out what their machines' disks
// hold.
const TraitReadDisks = "read-disks"

// CaptureInstance is the body of a request for an image of an instance: its
// first disk as it is now, and the kernel that it boots where it boots one.
type CaptureInstance struct {
	ImageName string `json:"image_name"`
}

// Validate judges a request as a person sent it.
func (c *CaptureInstance) Validate() error { return CheckName("image name", c.ImageName) }

// VerbCapture is the verb of operations that make an image of an instance.
const VerbCapture = "capture"

// TraitCopyDisks is the trait of hosts that make machines whose disks begin as
// copies of others: clones, and those with further disks made of images.
const TraitCopyDisks = "copy-disks"
