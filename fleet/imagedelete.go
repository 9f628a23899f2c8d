package fleet

// ImageDeletion is what became of an image at its holders.
type ImageDeletion struct {
	Image   string      `json:"image"`
	Removed []HostID    `json:"removed"`
	Kept    []ImageKept `json:"kept"`
}

// ImageKept is a holder that still has the image, and why.
type ImageKept struct {
	Host     HostID `json:"host"`
	HostName string `json:"host_name"`
	Code     Code   `json:"code"`
	Detail   string `json:"detail"`
}
