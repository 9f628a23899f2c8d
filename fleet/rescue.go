package fleet

// Rescue is the body of a request to boot an instance from another image, so
// that its own disk can be mended.
type Rescue struct {
	// Image is what it boots: an id, or a name that matches one digest.
	Image string `json:"image"`
}

// The verbs of the operations that begin and end a rescue.
const (
	VerbRescue   = "rescue"
	VerbUnrescue = "unrescue"
)
