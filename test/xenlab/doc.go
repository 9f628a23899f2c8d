// Package xenlab gives tests a real Xen host: a Debian with Xen, a dom0,
// libvirt's libxl driver and systemd, in a machine that QEMU emulates. `make
// xen-lab` builds it, boots it and saves it running; Start goes on from there,
// in a second or two, so that each test has a host of its own, as it was saved,
// on a disk that goes with the test.
//
// Tests that start it are left out, but with GRAPEVINE_XEN_LAB=required, which
// the stages set that are there for it; where the host was not built they then
// fail.
//
// A host takes 2 GiB of memory and, while it works, two processors. It is slow,
// as emulation is: give what waits for it minutes. Its clock stands where it
// was saved. docs/xen-lab.md tells what is in it.
package xenlab
