// Package session keeps the connections to a host's libvirtd, for its siblings
// alone: go-libvirt's words cross between them and go no further.
//
// Three kinds of connection are kept apart. Calls share one (session.go),
// which heals by itself. Each Feed of events has its own (feed.go), because a
// go-libvirt event stream that is cancelled while events come can block its
// connection for good; ours ends by hanging up. Each transfer has its own
// (stream.go), on go-libvirt's socket layer and with our own few lines of
// protocol above it, because go-libvirt's StorageVolUpload never returns when
// the server refuses the end of an upload, and its StorageVolDownload stalls
// every other call of the connection behind a slow reader.
package session
