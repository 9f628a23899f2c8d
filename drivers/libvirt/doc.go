// Package libvirt drives a host's hypervisor through libvirtd: KVM, or QEMU's
// own emulation where there is no KVM.
//
// Everything goes through libvirt's unix socket, storage and console logs
// included, so that the agent needs no root, only the group that libvirt lets
// in. What the driver writes on a host: one storage pool (images, disks,
// console logs, all as volumes named after their ids) and the domains it
// builds, each with Grapevine's Mark in the domain's own metadata.
//
// Connections are package session, the pool and its images package storage.
//
// What differs between hypervisor flavours is in flavour.go.
package libvirt
