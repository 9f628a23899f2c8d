package placement

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"

	"grapevine/fleet"
)

// sameHash returns ids that differ and have one hash.
func sameHash(n int) fleet.HostID {
	var id fleet.HostID
	binary.LittleEndian.PutUint64(id[:], hashLow)
	binary.LittleEndian.PutUint64(id[8:], uint64(n+1))
	return id
}

func TestIDsFindsWhatWasAddedAndNotRemoved(t *testing.T) {
	if hashOf(sameHash(0)) != hashOf(sameHash(1)) {
		t.Fatal("the ids that should collide do not")
	}
	rapid.Check(t, func(t *rapid.T) {
		names := []func(int) fleet.HostID{numbered, sameHash}
		known := rapid.Custom(func(t *rapid.T) fleet.HostID {
			return rapid.SampledFrom(names).Draw(t, "of")(rapid.IntRange(0, 20).Draw(t, "n"))
		})
		var table ids
		var rows []row
		held := map[fleet.HostID]int32{}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := known.Draw(t, "id")
				if _, ok := held[id]; ok {
					return
				}
				held[id] = int32(len(rows))
				rows = append(rows, row{version: fleet.Version{Host: id}})
				table.add(id, held[id])
			},
			"remove": func(t *rapid.T) {
				id := known.Draw(t, "id")
				if slot, ok := held[id]; ok {
					table.remove(id, slot)
					delete(held, id)
				}
			},
			"": func(t *rapid.T) {
				for _, name := range names {
					for n := range 21 {
						want, ok := held[name(n)]
						if slot, found := table.find(name(n), rows); found != ok || found && slot != want {
							t.Fatalf("find(%s) = %d, %v; want %d, %v", name(n), slot, found, want, ok)
						}
					}
				}
				if table.n != len(held) {
					t.Fatalf("the table says it has %d ids, it was given %d", table.n, len(held))
				}
			},
		})
	})
}
