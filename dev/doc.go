// Package dev assembles a whole fleet in one process: agents on simulated KVM
// and Xen hosts, agents of ESXi hosts that govmomi's simulator plays, and a
// registry. Only the hypervisors are simulated. Each host has its own agent
// with its own member of the mesh, its own links over TLS on loopback and its
// own journal in a temporary folder.
package dev
