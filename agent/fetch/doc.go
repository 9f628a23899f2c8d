// Package fetch brings an image from the hosts that hold it to this one.
//
// An image's files come in ranges of a few MiB, several at once and from all
// holders at once, into a spool: a folder on the host's own disk. What is there
// is noted beside the file, range by range, so that a fetch that broke off, or
// whose agent was restarted, goes on where it was. A holder that fails loses its
// ranges to the others; one that says that it is busy is asked again later. At
// the end the SHA-256 of each file is compared with the manifest's. Where it is
// another, somebody sent something else: the content is dropped and fetched
// once more, whole, from one holder after the other, until one has the right
// one; so a corrupt holder neither stops others from giving nor stays unnamed.
//
// Whoever fetches reads the content from the spool, and closes it; then nothing
// is left of it.
package fetch
