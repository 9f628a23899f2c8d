// Package mesh is how the hosts of a fleet tell each other what they have.
//
// Two planes, apart from each other. Serf says who is there: membership,
// failure detection, encrypted gossip; it carries no state. Links carry state:
// every node keeps a few long-lived streams to random members, over which it
// announces what it newly learnt and fetches what it lacks, so that every node
// ends up with the newest block of every host (package replica). The mesh
// carries facts, never commands.
//
// A [Mesh] is one member. An agent's publishes its own host with Publish and
// accepts links; a registry's owns nothing and only dials. docs/protocol.md is
// the normative text of what goes over the wire and when.
//
// Inside: package exchange is the pure protocol of links (digest, announce,
// want, answer), package wire the codec, and this package the glue to clocks,
// connections and Serf.
package mesh
