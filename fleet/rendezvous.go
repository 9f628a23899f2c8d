package fleet

import (
	"bytes"
	"crypto/sha256"
	"slices"
)

// HomeOf returns the home of an instance id among hosts: the one with the
// highest rendezvous weight, which is the SHA-256 of the id's 16 bytes
// followed by the host id's 16 bytes, compared bytewise. It reports false when
// hosts is empty.
//
// Every node that knows the same hosts finds the same home, whatever their
// order; and a host that joins or goes changes the home of only those ids that
// it is the home of itself. Callers give every host ever heard of and not
// forgotten, reachable or not: a home that cannot be heard is still the home.
func HomeOf(id InstanceID, hosts []HostID) (HostID, bool) {
	var (
		home HostID
		best [sha256.Size]byte
	)
	for i, host := range hosts {
		if w := weight(id, host); i == 0 || bytes.Compare(w[:], best[:]) > 0 {
			home, best = host, w
		}
	}
	return home, len(hosts) > 0
}

// weight is the rendezvous weight of a host for an id.
func weight(id UUID, host HostID) [sha256.Size]byte {
	var seed [32]byte
	copy(seed[:16], id[:])
	copy(seed[16:], host[:])
	return sha256.Sum256(seed[:])
}

// RankedFor returns hosts in the order of their rendezvous weights for an id, the
// highest first: the order of HomeOf, which every node finds the same.
func RankedFor(id UUID, hosts []HostID) []HostID {
	weights := make(map[HostID][sha256.Size]byte, len(hosts))
	for _, host := range hosts {
		weights[host] = weight(id, host)
	}
	out := slices.Clone(hosts)
	slices.SortFunc(out, func(a, b HostID) int {
		x, y := weights[a], weights[b]
		return bytes.Compare(y[:], x[:])
	})
	return out
}
