package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"

	"grapevine/fleet"
)

// upload reads an image's files, one after the other, out of a multipart form
// as it comes in. Nothing is kept: it is as large in memory as one read.
type upload struct {
	image fleet.Image
	form  *multipart.Reader
	index int       // of the file being read, in image.Files
	part  io.Reader // its part; nil before it is opened
	have  int64     // bytes of it that were read
	fault error     // what the client did wrong, or that it went away
}

// openUpload reads the manifest, which comes first.
func openUpload(contentType string, content io.Reader) (*upload, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil || media != "multipart/form-data" || params["boundary"] == "" {
		return nil, badRequest("content type %.80q is not multipart/form-data with a boundary; use grapevine image import", contentType)
	}
	u := &upload{form: multipart.NewReader(content, params["boundary"])}
	part, err := u.form.NextPart()
	if err != nil || part.FormName() != "manifest" {
		return nil, badRequest("the upload's first part is not manifest; send the image's manifest first")
	}
	manifest, err := io.ReadAll(io.LimitReader(part, fleet.MaxBodyBytes+1))
	switch {
	case err != nil:
		return nil, badRequest("the upload was cut off in its manifest; send it again")
	case len(manifest) > fleet.MaxBodyBytes:
		return nil, &fleet.Error{Code: fleet.CodeTooLarge, Detail: fmt.Sprintf("the manifest is longer than %d bytes; send less", fleet.MaxBodyBytes)}
	}
	if err := u.readManifest(manifest); err != nil {
		return nil, err
	}
	return u, nil
}

func (u *upload) readManifest(content []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&u.image); err != nil {
		return badRequest("the manifest is not an image as JSON: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return badRequest("something follows the manifest's JSON; send one document")
	}
	if err := u.image.Validate(); err != nil {
		return err
	}
	if u.image.Stored != nil {
		return invalid("the manifest says what a host stores in place of the disk; leave stored out, only the host knows")
	}
	u.image.Bytes, u.image.Hosts = 0, nil
	for _, f := range u.image.Files {
		u.image.Bytes += f.Bytes
	}
	return nil
}

// Read implements io.Reader: the files' contents without anything between.
func (u *upload) Read(p []byte) (int, error) {
	for u.fault == nil {
		if u.index == len(u.image.Files) {
			return 0, io.EOF
		}
		if u.part == nil {
			u.fault = u.open()
			continue
		}
		n, err := u.part.Read(p)
		u.have += int64(n)
		if u.have > u.file().Bytes {
			u.fault = invalid("the upload's %s is longer than the %d bytes of the manifest; make the manifest anew", u.file().Role, u.file().Bytes)
			continue
		}
		if err != nil {
			u.fault = u.end(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, u.fault
}

func (u *upload) file() fleet.ImageFile { return u.image.Files[u.index] }

func (u *upload) open() error {
	part, err := u.form.NextPart()
	switch {
	case errors.Is(err, io.EOF):
		return badRequest("the upload has no part %s; send one for each file of the manifest", u.file().Role)
	case err != nil:
		return badRequest("the upload was cut off before its %s; send it again", u.file().Role)
	case part.FormName() != string(u.file().Role):
		return badRequest("the upload's part %.40q stands where %s belongs; send the files in the manifest's order", part.FormName(), u.file().Role)
	}
	u.part, u.have = part, 0
	return nil
}

// end closes the current file, whose part has ended with err.
func (u *upload) end(err error) error {
	switch {
	case !errors.Is(err, io.EOF):
		return badRequest("the upload was cut off in its %s, after %d of %d bytes; send it again", u.file().Role, u.have, u.file().Bytes)
	case u.have < u.file().Bytes:
		return invalid("the upload's %s is %d bytes long and the manifest says %d; make the manifest anew", u.file().Role, u.have, u.file().Bytes)
	}
	u.part = nil
	u.index++
	return nil
}
