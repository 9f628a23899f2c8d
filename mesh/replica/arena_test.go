package replica

import (
	"bytes"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

// checkArena holds the arena's books against the blocks.
func checkArena(t *rapid.T, r *Replica) {
	live := map[slabNumber]int{}
	for b := range r.Blocks() {
		p := &b.rows
		for _, piece := range p.pieces() {
			live[piece.in] += cap(piece.bytes) - piece.dead
		}
	}
	all, size := 0, 0
	for n := range r.arena.slabs {
		s := &r.arena.slabs[n]
		if n > 0 && s.live != live[slabNumber(n)] {
			t.Fatalf("slab %d says that %d bytes live, blocks have %d there", n, s.live, live[slabNumber(n)])
		}
		all, size = all+s.live, size+cap(s.memory)
	}
	if r.arena.live != all || r.arena.size != size {
		t.Fatalf("the arena says %d bytes of %d live; slabs have %d of %d", r.arena.live, r.arena.size, all, size)
	}
	if most := all + all/slackShare + 5*max(slabLeast, all/slabShare) + 64<<10; size > most {
		t.Fatalf("slabs of %d bytes hold %d", size, all)
	}
}

// What a reader holds stays as it was, while blocks are written anew and moved
// to other slabs; and slabs do not outgrow what lives in them.
func TestBlocksMoveAndStayAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const hosts = 8
		r, origins := New(), make([]*Origin, hosts)
		for h := range origins {
			origins[h] = NewOrigin(fleet.UUID{byte(h + 1)})
			origins[h].Begin(1, 1)
		}
		rowsOf := func(salt int) []OwnRow {
			rows := make([]OwnRow, 20+salt%7)
			for n := range rows {
				body := bytes.Repeat([]byte{byte(salt * (n%3 + 1))}, 150)
				rows[n] = OwnRow{Key: wire.InstanceKey(fleet.UUID{byte(n), 1}), Body: wire.EncodeInstance(fleet.Instance{Name: string(body)})}
			}
			return rows
		}
		type seen struct {
			block *Block
			rows  []byte
		}
		var before []seen
		for range rapid.IntRange(1, 150).Draw(t, "changes") {
			h := rapid.IntRange(0, hosts-1).Draw(t, "host")
			next, changed, err := origins[h].Next(rowsOf(rapid.IntRange(0, 100).Draw(t, "salt")))
			if err != nil {
				t.Fatal(err)
			}
			if !changed {
				continue
			}
			held := Head{}
			if b := r.Block(next.HostID()); b != nil {
				if rapid.IntRange(0, 3).Draw(t, "whole") > 0 {
					held = b.Head()
				}
				before = append(before, seen{b, contents(b)})
			}
			d, ok := next.Since(held)
			if !ok {
				continue
			}
			if rapid.Bool().Draw(t, "corrupt") {
				wrong := d
				wrong.Head.Hash[0] ^= 1
				if got, _ := r.Apply(wrong, fleet.UUID{9}, benchTime); got == Applied {
					t.Fatal("a block that does not match its head was applied")
				}
				checkArena(t, r)
			}
			if ahead := []Delta{d}; rapid.Bool().Draw(t, "ahead") {
				Prepare(ahead)
				d = ahead[0]
			}
			if got, err := r.Apply(d, fleet.UUID{9}, benchTime); got != Applied {
				t.Fatal(got, err)
			}
			if got := r.Block(next.HostID()); !bytes.Equal(contents(got), contents(next)) || !bytes.Equal(got.rows.hashes, next.rows.hashes) {
				t.Fatal("a block is not what its origin has")
			}
			checkArena(t, r)
		}
		for _, s := range before {
			if !bytes.Equal(contents(s.block), s.rows) {
				t.Fatal("a block that a reader holds changed")
			}
		}
	})
}

func contents(b *Block) []byte {
	var all []byte
	for _, row := range b.Rows() {
		all = wire.AppendRow(all, &row)
	}
	return all
}

// A block of a host that is not held leaves nothing when it is refused, and
// what it took is given up like all else.
func TestRefusedBlocksOfUnknownHostsLeaveNothing(t *testing.T) {
	r := New()
	o := NewOrigin(fleet.UUID{1})
	o.Begin(1, 1)
	for n := range 200 {
		b, _, err := o.Next([]OwnRow{{Key: wire.InstanceKey(fleet.UUID{2}), Body: wire.EncodeInstance(fleet.Instance{Name: strings.Repeat("x", 1000+n)})}})
		if err != nil {
			t.Fatal(err)
		}
		d, _ := b.Since(Head{})
		d.Head.Hash[0] ^= 1
		if got, _ := r.Apply(d, fleet.UUID{9}, benchTime); got != Rejected {
			t.Fatal(got)
		}
		r.tidy()
	}
	if r.arena.live != 0 || r.arena.size > 8*slabLeast {
		t.Fatalf("%d bytes live in slabs of %d, and no host is held", r.arena.live, r.arena.size)
	}
}
