// Package ids gives UUIDs to what has another kind of id in the fleet, since
// clients of OpenStack take nothing else for one. Each is derived, so that every
// registry gives the same one and none has to be kept.
package ids

import "grapevine/fleet"

// space is the name space of them all (RFC 9562, section 5.5).
var space = fleet.UUID{0x6f, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x4b, 0x61, 0x83, 0x6b, 0x67, 0x72, 0x61, 0x70, 0x65, 0x76}

// Image returns the id of an image, whose own is a digest.
func Image(digest string) string { return fleet.NewUUIDv5(space, "image/"+digest).String() }

// Network returns the id of a network: hosts name theirs, and equal names are one
// network.
func Network(name string) string { return fleet.NewUUIDv5(space, "network/"+name).String() }

// HostOf returns the id by which a project tells hosts apart without learning which
// they are.
func HostOf(project string, host fleet.HostID) string {
	return fleet.NewUUIDv5(space, "host/"+project+"/"+host.String()).String()
}

// Number returns a number for what clients of early microversions take for one: of
// 31 bits, so that it fits the smallest that they read. Of 10,000 hosts two have the
// same one in one fleet of forty.
func Number(id fleet.UUID) int {
	d := fleet.NewUUIDv5(space, "number/"+id.String())
	return int(d[0]&0x7f)<<24 | int(d[1])<<16 | int(d[2])<<8 | int(d[3])
}
