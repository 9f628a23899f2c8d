package node

// A pulse says its sender's root. Two nodes that both held the same for a
// second, and not the same as each other, have missed something of each other:
// an announcement came spoilt, or a fault lost it. They compare at once, and not
// only at the next regular time.

// roots are those of both ends of a link.
type roots struct{ own, peer uint64 }

// restRoot notes at each pulse whether the own root is that of the pulse
// before: a fleet in which much changes hardly ever holds the same anywhere.
func (n *Node) restRoot() {
	root := n.replica.Root()
	n.atRest, n.root = root == n.root, root
}

// receiveRoot compares with a peer where both are at rest and differ, once for
// the same two roots: what a node refuses it lacks for good.
func (n *Node) receiveRoot(l *Link, root uint64) {
	same := root == l.root
	l.root = root
	both := roots{n.root, root}
	if !l.outbound || l.peer == nil || root == 0 || !same || !n.atRest || n.replica.Root() != n.root || root == n.root || l.compared == both {
		return
	}
	l.compared = both
	n.exchange.Compare(l.peer)
}
