// Package rawtcp has TCP connections that read and write without telling Go's
// scheduler.
//
// Before any system call that could block, the runtime makes sure that its
// watching thread is awake, to take the processor away from a call that does
// block; and once awake that thread looks around every 20 µs until the process is
// idle again. Reading from and writing to a socket that is set not to block, as
// all of package net's are, is no such call. A process that lives of small
// frames, as each member of a mesh does, spends a third of its time on being
// watched so. Waiting for a socket to become ready stays the runtime's.
package rawtcp
