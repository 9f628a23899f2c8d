// Package wire is the mesh's codec: what a host's block, its rows and the
// frames of a link look like in bytes.
//
// Three layers, from the inside out:
//
//   - the body of a row is a Protocol Buffers message ([EncodeHost],
//     [EncodeInstance], [EncodeImage] and their inverses). Only the origin and
//     the reader look into it; everybody between hashes and relays its bytes;
//   - a [Row] is a body under a [Key] with the seq of its last change, a
//     [Head] sums up all rows of a host, and a [Delta] leads from one head to
//     a newer one;
//   - a frame is one [Message] of a link, with its length and kind in front
//     ([Reader], [AppendFrame]).
//
// Encodings are deterministic, sizes are checked before memory is allocated
// for them, and the Go structs here are the package's only face: the generated
// code in wirepb stays behind it.
package wire
