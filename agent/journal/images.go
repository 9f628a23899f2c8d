package journal

import (
	"encoding/json"
	"time"

	"go.etcd.io/bbolt"
)

// CachedImage is an image that this host has fetched from another.
type CachedImage struct {
	ID string `json:"id"`
	// UsedAt is when it was fetched or last built on, by this host's wall clock,
	// compared with itself only.
	UsedAt time.Time `json:"used_at"`
}

// touchAfter is how much older the entry of an image must be before it is
// written anew: builds come in bursts.
const touchAfter = time.Minute

// CacheImage notes that an image was fetched.
func (j *Journal) CacheImage(im CachedImage) error {
	return j.update(func(tx *bbolt.Tx) error { return putJSON(tx.Bucket(imagesBucket), []byte(im.ID), im) })
}

// TouchImage notes that an image is used, if it is one that was fetched.
func (j *Journal) TouchImage(id string, now time.Time) error {
	var held CachedImage
	err := j.db.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket(imagesBucket).Get([]byte(id))
		if data == nil {
			return nil
		}
		return json.Unmarshal(data, &held)
	})
	if err != nil || held.ID == "" || now.Sub(held.UsedAt) < touchAfter {
		return err
	}
	return j.CacheImage(CachedImage{ID: id, UsedAt: now})
}

// ForgetImage drops what is noted of an image.
func (j *Journal) ForgetImage(id string) error {
	return j.update(func(tx *bbolt.Tx) error { return tx.Bucket(imagesBucket).Delete([]byte(id)) })
}

// CachedImages returns all images that were fetched.
func (j *Journal) CachedImages() ([]CachedImage, error) { return each[CachedImage](j, imagesBucket) }
