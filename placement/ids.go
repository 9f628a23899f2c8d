package placement

import (
	"encoding/binary"
	"math/bits"

	"grapevine/fleet"
)

// ids finds the slot of a host by its id: an open-addressed table whose cells
// hold 32 bits of the id's hash above its slot + 1; 0 is a free cell. A host's
// cell is where its hash says, or after that with no free one between. So a
// host is found by one line here and its row.
type ids struct {
	cells []uint64 // a power of two, at most two thirds of them taken
	n     int
}

// hashLow and hashHigh are numbers without a pattern.
const hashLow, hashHigh = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93

// hashOf spreads ids over 32 bits, also those that are much alike.
func hashOf(id fleet.HostID) uint32 {
	low, high := binary.LittleEndian.Uint64(id[:]), binary.LittleEndian.Uint64(id[8:])
	a, b := bits.Mul64(low^hashLow, high^hashHigh)
	return uint32((a ^ b) * hashLow >> 32)
}

// find returns the slot of the host with this id.
func (t *ids) find(id fleet.HostID, rows []row) (slot int32, known bool) {
	if t.n == 0 {
		return 0, false
	}
	hash := hashOf(id)
	for at := hash; ; at++ {
		cell := t.cells[at&uint32(len(t.cells)-1)]
		if cell == 0 {
			return 0, false
		}
		if slot := uint32(cell) - 1; uint32(cell>>32) == hash && rows[slot].id() == id {
			return int32(slot), true
		}
	}
}

// add takes in the id, which is not in the table, of the host in this slot.
func (t *ids) add(id fleet.HostID, slot int32) {
	if t.n++; 3*t.n > 2*len(t.cells) {
		held := t.cells
		t.cells = make([]uint64, max(8, 2*len(held)))
		for _, cell := range held {
			if cell != 0 {
				t.put(cell)
			}
		}
	}
	t.put(uint64(hashOf(id))<<32 | uint64(slot+1))
}

func (t *ids) put(cell uint64) {
	at := uint32(cell >> 32)
	for t.cells[at&uint32(len(t.cells)-1)] != 0 {
		at++
	}
	t.cells[at&uint32(len(t.cells)-1)] = cell
}

// remove takes the id of the host in this slot out. Cells after it that would
// no longer be found move up.
func (t *ids) remove(id fleet.HostID, slot int32) {
	t.n--
	mask := uint32(len(t.cells) - 1)
	gap := hashOf(id)
	for uint32(t.cells[gap&mask]) != uint32(slot+1) {
		gap++
	}
	for at := gap + 1; t.cells[at&mask] != 0; at++ {
		cell := t.cells[at&mask]
		if behind := at - uint32(cell>>32); behind&mask >= (at-gap)&mask {
			t.cells[gap&mask], gap = cell, at
		}
	}
	t.cells[gap&mask] = 0
}
