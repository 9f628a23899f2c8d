// Package netns gives tests hosts of their own on wires of their own: each
// host is a Linux network namespace with one cable to a switch, switches hang
// on one backbone, and cables can be pulled and made to lose packets. Programs
// in it have every port to themselves, on a loopback and an address of their
// own, and nothing of it can be reached from outside.
//
// It needs root and the programs of scripts/setup-test-host. The tests of this
// folder use it to cut fleets of the built binary in two; test/bench measures
// on it what an agent sends.
package netns
