package replica

import (
	"hash/maphash"
	"sync/atomic"

	"grapevine/mesh/wire"
)

// projects numbers the projects of all machines ever heard of, by which the
// index of members names them. Readers find a project without a lock: entries
// are only ever added, one for each name and at most maxProjects.
type projects struct {
	table atomic.Pointer[[]atomic.Pointer[project]] // open hash table, at most 3/4 full
	count int                                       // writer
	full  atomic.Bool                               // a project without a number was heard of
	seed  maphash.Seed

	// writer: the projects of the entries of the table of the block at hand
	block *packed
	known []*project
}

type project struct {
	name   string
	number uint16
}

const (
	// maxProjects is what two bytes can number, but one.
	maxProjects = 1<<16 - 1
	// noNumber is the number of all projects past them.
	noNumber = maxProjects
	// knownProjects bounds the entries of a block's table that are remembered.
	knownProjects = 1024
)

func (t *projects) init() {
	t.seed = maphash.MakeSeed()
	table := make([]atomic.Pointer[project], 8)
	t.table.Store(&table)
}

// find returns the project with this name, or nil where no machine is in it
// or it came when all numbers were given.
func (t *projects) find(name string) *project {
	p, _ := t.look(*t.table.Load(), maphash.String(t.seed, name), name)
	return p
}

// look returns the project and, where it is not there, its place.
func (t *projects) look(table []atomic.Pointer[project], hash uint64, name string) (*project, int) {
	for i := hash; ; i++ {
		at := int(i & uint64(len(table)-1)) // a power of two
		if p := table[at].Load(); p == nil || p.name == name {
			return p, at
		}
	}
}

// number returns the number of a project, and gives one to a new name (writer).
func (t *projects) number(name []byte) *project {
	table := *t.table.Load()
	hash := maphash.Bytes(t.seed, name)
	for i := hash; ; i++ {
		at := int(i & uint64(len(table)-1)) // a power of two
		switch p := table[at].Load(); {
		case p != nil && p.name == string(name):
			return p
		case p == nil:
			return t.add(string(name), hash)
		}
	}
}

// unnumbered stands for all projects that came too late.
var unnumbered = &project{number: noNumber}

func (t *projects) add(name string, hash uint64) *project {
	if t.count == maxProjects {
		t.full.Store(true)
		return unnumbered
	}
	table := *t.table.Load()
	if (t.count+1)*4 > len(table)*3 {
		larger := make([]atomic.Pointer[project], 2*len(table))
		for i := range table {
			if p := table[i].Load(); p != nil {
				_, at := t.look(larger, maphash.String(t.seed, p.name), p.name)
				larger[at].Store(p)
			}
		}
		t.table.Store(&larger)
		table = larger
	}
	p := &project{name: name, number: uint16(t.count)} // below maxProjects
	t.count++
	_, at := t.look(table, hash, name)
	table[at].Store(p)
	return p
}

// of returns the project of a block's instance (writer).
func (t *projects) of(p *packed, i int) *project {
	if t.block != p {
		clear(t.known)
		t.block = p
	}
	ref, encoded := wire.ProjectOf(p.row(i).Body)
	if ref > 0 && ref < uint64(len(t.known)) && t.known[ref] != nil {
		return t.known[ref]
	}
	if ref > 0 {
		encoded, _ = p.Entry(ref)
	}
	var space [128]byte
	found := t.number(wire.TextForm(&space, encoded))
	if ref > 0 && ref < knownProjects {
		for uint64(len(t.known)) <= ref {
			t.known = append(t.known, nil)
		}
		t.known[ref] = found
	}
	return found
}

// forget lets go of the block at hand.
func (t *projects) forget() {
	clear(t.known)
	t.block = nil
}
