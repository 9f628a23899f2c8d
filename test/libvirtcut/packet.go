// Package libvirtcut stands between a program and its libvirtd, and can stop
// everything at one of the calls that pass: so a test kills the program at an
// exact step of what it does, and the program knows nothing of it.
package libvirtcut

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Procedure is the number of a call in libvirt's remote protocol, where
// remote_protocol.x lists them; they never change.
type Procedure uint32

// The calls that change something, of those that a driver makes.
const (
	DomainDefineXML         Procedure = 11
	StorageVolCreateXML     Procedure = 93
	StorageVolDelete        Procedure = 94
	StorageVolCreateXMLFrom Procedure = 125
	DomainSnapshotCreateXML Procedure = 185
	DomainRevertToSnapshot  Procedure = 192
	DomainSnapshotDelete    Procedure = 193
	DomainCreateWithFlags   Procedure = 196
	StorageVolUpload        Procedure = 208
	DomainUndefineFlags     Procedure = 231
	DomainDestroyFlags      Procedure = 234
	DomainReset             Procedure = 245
	DomainShutdownFlags     Procedure = 258
	StorageVolResize        Procedure = 260
	DomainSetMetadata       Procedure = 264
)

// Changes reports whether the call is one of these.
func (p Procedure) Changes() bool {
	switch p {
	case DomainDefineXML, StorageVolCreateXML, StorageVolDelete, StorageVolCreateXMLFrom, DomainSnapshotCreateXML, DomainRevertToSnapshot,
		DomainSnapshotDelete, DomainCreateWithFlags, StorageVolUpload, DomainUndefineFlags, DomainDestroyFlags, DomainReset,
		DomainShutdownFlags, StorageVolResize, DomainSetMetadata:
		return true
	default:
		return false
	}
}

// head is what a packet says of itself, after its length.
type head struct {
	program   uint32
	procedure Procedure
	kind      uint32
	serial    uint32
}

const (
	remoteProgram = 0x20008086
	call          = 0 // kinds of packets
	reply         = 1
	headBytes     = 28 // length, program, version, procedure, kind, serial, status
	// maxPacket is the most that libvirt sends, and room for a head.
	maxPacket = 32<<20 + 64
)

// readPacket reads one packet whole, its length included.
func readPacket(from io.Reader) ([]byte, head, error) {
	packet := make([]byte, headBytes)
	if _, err := io.ReadFull(from, packet); err != nil {
		return nil, head{}, err
	}
	word := func(n int) uint32 { return binary.BigEndian.Uint32(packet[4*n:]) }
	length := word(0)
	if length < headBytes || length > maxPacket {
		return nil, head{}, fmt.Errorf("a packet of %d bytes is none of libvirt's", length)
	}
	h := head{program: word(1), procedure: Procedure(word(3)), kind: word(4), serial: word(5)}
	packet = append(packet, make([]byte, length-headBytes)...)
	_, err := io.ReadFull(from, packet[headBytes:])
	return packet, h, err
}
