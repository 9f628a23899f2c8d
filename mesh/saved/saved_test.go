package saved

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/replica/replicatest"
)

const hosts = 5

// heldAt returns a replica of a small fleet, of which everything was heard at
// a moment.
func heldAt(t *testing.T, now time.Time) *replica.Replica {
	t.Helper()
	r, f := replica.New(), replicatest.Fleet{Hosts: hosts}
	for n := range hosts {
		id := replicatest.HostID(n)
		origin := replica.NewOrigin(id)
		origin.Begin(uint64(n)+1, 7)
		var own []replica.OwnRow
		for _, row := range f.Rows(n) {
			own = append(own, replica.OwnRow(row))
		}
		block, _, err := origin.Next(own)
		if err != nil {
			t.Fatal(err)
		}
		r.Install(block, now)
		r.Heard(id, replica.Sign{Epoch: uint64(n) + 1, Beat: 3, AgeMS: 500, At: now})
	}
	return r
}

func TestSavedFleetIsLoadedAsOldAsItIs(t *testing.T) {
	path, then := filepath.Join(t.TempDir(), "fleet"), replicatest.Time
	held := heldAt(t, then)
	if err := Save(path, held, replicatest.HostID(0), then.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	now := then.Add(time.Hour)
	again := replica.New()
	if n, err := Load(path, again, now); n != hosts-1 || err != nil {
		t.Fatalf("loaded %d hosts, %v; want %d", n, err, hosts-1)
	}
	if again.Block(replicatest.HostID(0)) != nil {
		t.Error("this host's own block was saved; its hypervisor knows better")
	}
	for n := 1; n < hosts; n++ {
		id := replicatest.HostID(n)
		if got, want := again.Block(id).Head(), held.Block(id).Head(); got != want {
			t.Errorf("host %d is loaded as %+v, want %+v", n, got, want)
		}
		age, ok := again.Age(id, now)
		if want := time.Hour + 500*time.Millisecond; !ok || age != want {
			t.Errorf("host %d is %v old, %v; want %v", n, age, ok, want)
		}
	}
}

func TestWhatIsLostOfAFileIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fleet")
	if err := Save(path, heldAt(t, replicatest.Time), fleet.UUID{}, replicatest.Time); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		content []byte
		hosts   int
	}{
		{"half of it", whole[:len(whole)/2], 2},
		{"a byte of the third host", flipped(whole, len(whole)/2), 2},
		{"all but the beginning", whole[:5], 0},
		{"another file", []byte("epoch = 7, and so on, for as long as it takes"), 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			r := replica.New()
			n, err := Load(path, r, replicatest.Time)
			if n != c.hosts || r.Len() != c.hosts || err == nil {
				t.Errorf("loaded %d hosts, %v, and holds %d; want %d and an error", n, err, r.Len(), c.hosts)
			}
		})
	}
	if n, err := Load(filepath.Join(t.TempDir(), "none"), replica.New(), replicatest.Time); n != 0 || err != nil {
		t.Errorf("of nothing %d hosts were loaded, %v", n, err)
	}
}

func flipped(whole []byte, at int) []byte {
	b := append([]byte(nil), whole...)
	b[at] ^= 0x40
	return b
}

func TestSaveThatFailsLeavesTheLastOne(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "fleet")
	if err := Save(filepath.Join(dir, "no", "fleet"), replica.New(), fleet.UUID{}, replicatest.Time); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("saving into a folder that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("the last one"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path+".next", 0o700); err != nil { // as a disk that takes no file
		t.Fatal(err)
	}
	if err := Save(path, heldAt(t, replicatest.Time), fleet.UUID{}, replicatest.Time); err == nil {
		t.Error("it was saved")
	}
	if b, err := os.ReadFile(path); string(b) != "the last one" || err != nil {
		t.Errorf("the file is %.20q, %v", b, err)
	}
}
