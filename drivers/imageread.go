package drivers

import (
	"context"
	"io"

	"grapevine/fleet"
)

// FeatureImageSource says that the driver is an ImageReader, so that other
// hosts can fetch images from this one.
const FeatureImageSource Feature = fleet.TraitImageSource

// ImageReader is a driver that gives back the content of the images it keeps,
// byte for byte as it was imported.
type ImageReader interface {
	// ReadImage returns length bytes of an image's file from offset on, fewer
	// where the file ends before. An image that is not there, or has no such
	// file, is ErrNotFound. The caller closes it; ctx ends it too.
	ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error)
}
