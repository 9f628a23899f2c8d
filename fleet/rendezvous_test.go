package fleet

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func randomIDs(rng *rand.Rand, n int) []UUID {
	ids := make([]UUID, n)
	for i := range ids {
		for j := range ids[i] {
			ids[i][j] = byte(rng.Uint32())
		}
	}
	return ids
}

func TestHomeIsTheSameForHostsInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	hosts := randomIDs(rng, 50)
	for _, id := range randomIDs(rng, 100) {
		want, ok := HomeOf(id, hosts)
		if !ok || !slices.Contains(hosts, want) {
			t.Fatalf("HomeOf(%s) = %s, %v; want one of the hosts", id, want, ok)
		}
		rng.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
		if got, _ := HomeOf(id, hosts); got != want {
			t.Fatalf("HomeOf(%s) = %s after a shuffle, %s before", id, got, want)
		}
	}
}

func TestHomeMovesOnlyWithTheHostThatGoes(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 2))
	hosts := randomIDs(rng, 20)
	gone, rest := hosts[0], hosts[1:]
	moved := 0
	for _, id := range randomIDs(rng, 2000) {
		before, _ := HomeOf(id, hosts)
		after, _ := HomeOf(id, rest)
		if before == gone {
			moved++
		} else if before != after {
			t.Fatalf("home of %s moved from %s to %s though %s went", id, before, after, gone)
		}
	}
	// 2000/20 = 100 expected, standard deviation below 10.
	if moved < 50 || moved > 150 {
		t.Errorf("%d of 2000 ids lived at one of 20 hosts; want about 100", moved)
	}
}

func TestNoHostsHaveNoHome(t *testing.T) {
	if home, ok := HomeOf(UUID{1}, nil); ok || !home.IsZero() {
		t.Errorf("HomeOf(no hosts) = %s, %v; want none", home, ok)
	}
}

// TestHomeIsPinned guards the formula: two releases in one fleet must agree.
func TestHomeIsPinned(t *testing.T) {
	hosts := []HostID{{1}, {2}, {3}}
	var got []byte
	for i := range byte(12) {
		home, _ := HomeOf(InstanceID{i}, hosts)
		got = append(got, home[0])
	}
	want := []byte{3, 2, 3, 3, 2, 1, 2, 2, 1, 2, 2, 2} // also worked out by hand with another SHA-256
	if !slices.Equal(got, want) {
		t.Errorf("homes of ids 0..11 = %v, want %v", got, want)
	}
}
