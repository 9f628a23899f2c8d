// Package e2e tests the built binary from outside: agents, registries and the
// command line in processes of their own, on loopback, with a real libvirtd and
// QEMU where a test says so.
//
// Each world has its own loopback network, 127.x.y.0/24, so that every node has
// the ports that it has in real life and a restart keeps them.
package e2e
