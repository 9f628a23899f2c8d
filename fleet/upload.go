package fleet

// Upload is how much a host has of an image that somebody uploads to it.
type Upload struct {
	// Image is the id of the image, and so the digest that the content must have.
	Image string `json:"image"`
	Host  HostID `json:"host"`
	// HaveBytes of TotalBytes are there: the upload goes on from here. The content
	// is the image's files one after the other, in the manifest's order.
	HaveBytes  int64 `json:"have_bytes"`
	TotalBytes int64 `json:"total_bytes"`
	// Busy says that somebody is sending to it right now, or that the host is
	// storing what came. Nobody else can, until that has ended.
	Busy bool `json:"busy,omitempty"`
	// Stored is the image once the host holds it; all bytes count as there then.
	Stored *Image `json:"stored,omitempty"`
}
