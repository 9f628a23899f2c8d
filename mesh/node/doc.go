// Package node is one member of the mesh as a pure state machine: which links
// it keeps and with whom, what is said on them, when its epoch begins, when it
// publishes and whom it no longer hears.
//
// A [Node] is told what happens (a stream opened, a frame came, a member was
// lost, time went by) and answers through a [World], which it asks to dial, to
// store an epoch, to write to a link. It does no I/O, reads no clock, starts
// nothing and draws from the randomness that it is given, so that the same
// inputs give the same fleet again: tests run thousands of nodes in virtual
// time. One goroutine at a time calls it. Package mesh gives it sockets and
// clocks; package exchange is what it says on links once they are up.
package node
