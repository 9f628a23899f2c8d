// Package storage is the driver's place on a libvirt host: one storage pool
// with volumes named after what is in them, and the images that are kept there.
//
// An image is a volume for each file and one for its manifest, written last:
// without a manifest there is no image, only what an interrupted import left.
package storage
