// Package libvirt drives a host's hypervisor through libvirtd: KVM, or QEMU's
// own emulation where there is no KVM.
//
// Everything goes through libvirt's unix socket, storage and console logs
// included, so that the agent needs no root, only the group that libvirt lets
// in. What the driver writes on a host: one storage pool (images, disks,
// console logs, all as volumes named after their ids) and the domains it
// builds, each with Grapevine's Mark in the domain's own metadata.
//
// Three kinds of connection are kept apart. Calls share one (session.go),
// which heals by itself. Each Watch has its own (feed.go), because a go-libvirt
// event stream that is cancelled while events come can block its connection
// for good; ours ends by hanging up. Each transfer has its own (stream.go), on
// go-libvirt's socket layer and with our own few lines of protocol above it,
// because go-libvirt's StorageVolUpload never returns when the server refuses
// the end of an upload, and its StorageVolDownload stalls every other call of
// the connection behind a slow reader.
//
// What differs between hypervisor flavours is in flavour.go.
package libvirt
