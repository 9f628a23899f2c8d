package fleet

import (
	"net/url"
)

// ImportURL asks a host to download an image of one disk.
type ImportURL struct {
	Name string `json:"name"`
	URL  string `json:"url"` // http or https
	// SHA256 is the digest that the content must have; empty where it is not
	// known beforehand.
	SHA256 string `json:"sha256,omitempty"`
}

// MaxURLBytes bounds the address of an image.
const MaxURLBytes = 2048

// Validate judges a request as a person sent it.
func (r *ImportURL) Validate() error {
	if err := CheckName("image name", r.Name); err != nil {
		return err
	}
	u, err := url.Parse(r.URL)
	switch {
	case err != nil || len(r.URL) > MaxURLBytes || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return &Error{Code: CodeInvalid, Detail: "url is not of the form https://host/path; give the address of a disk image"}
	case u.User != nil:
		return &Error{Code: CodeInvalid, Detail: "url has a user or a password in it, which everybody who reads the operation would see; use one without"}
	case r.SHA256 != "" && !IsImageID(r.SHA256):
		return &Error{Code: CodeInvalid, Detail: "sha256 is not 64 lower-case hexadecimal digits"}
	}
	return nil
}

// VerbImportImage is the verb of operations that download an image.
const VerbImportImage = "import-image"
