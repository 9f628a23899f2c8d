package drivertest

import (
	"errors"
	"io"
	"strings"

	"grapevine/drivers"
	"grapevine/fleet"
)

func consoleLog(k *kit) {
	logger := ability[drivers.ConsoleLogger](k)
	if _, err := logger.ConsoleLog(k.Context(), newID(), fleet.LogRange{}); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("console of a machine that is not there: got %v, want ErrNotFound", err)
	}
	read := func(id fleet.InstanceID, offset int64) string { return k.printed(logger, id, offset) }
	id := k.build("talks")
	if got := read(id, 0); got != "" {
		k.Errorf("a machine that never ran has printed %q", got)
	}
	k.act(id, fleet.Start)
	k.print(id, "a line\nand another\n")
	k.eventually("the guest prints a line", func() bool { return strings.Contains(read(id, 0), "\n") })
	k.act(id, fleet.Stop) // so that it prints no more
	all := read(id, 0)
	half := int64(len(all) / 2)
	if got := read(id, half); got != all[half:] {
		k.Errorf("from byte %d on: got %q, want %q", half, got, all[half:])
	}
	if got := read(id, int64(len(all))+1000); got != "" {
		k.Errorf("past the end: got %q, want nothing", got)
	}
}

// print lets the guest print where it does not do so by itself.
func (k *kit) print(id fleet.InstanceID, text string) {
	k.Helper()
	if p, ok := k.h.(Printer); ok {
		p.Print(k, id, text)
	}
}

// consoleLogIsFollowed reads on while the guest prints, until the machine is
// gone.
func consoleLogIsFollowed(k *kit) {
	id := k.build("followed")
	r, err := ability[drivers.ConsoleLogger](k).ConsoleLog(k.Context(), id, fleet.LogRange{Follow: true})
	k.must(err)
	follower := listen(r)
	defer func() {
		k.must(k.d.Delete(k.Context(), id))
		if err := k.end(follower); !errors.Is(err, io.EOF) {
			k.Errorf("followed log of a machine that was deleted: got %v, want io.EOF", err)
		}
		k.must(r.Close())
	}()
	var printed int
	for range 2 { // boots
		k.act(id, fleet.Start)
		k.print(id, "the guest is up\n")
		k.eventually("the follower reads what the guest prints", func() bool { return strings.Count(follower.text(), "\n") > printed })
		k.act(id, fleet.Stop)
		printed = strings.Count(follower.text(), "\n")
	}
	all := k.logged(id, fleet.LogRange{})
	k.eventually("the follower has all that is recorded", func() bool { return strings.HasSuffix(follower.text(), all) })
	if tail := k.logged(id, fleet.LogRange{Tail: 10}); !strings.HasSuffix(all, tail) || len(tail) != 10 {
		k.Errorf("the last 10 bytes: got %q of %q", tail, all)
	}
}

// printed is what a machine has printed from byte offset on.
func (k *kit) printed(logger drivers.ConsoleLogger, id fleet.InstanceID, offset int64) string {
	k.Helper()
	r, err := logger.ConsoleLog(k.Context(), id, fleet.LogRange{Offset: offset})
	k.must(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	k.must(err)
	return string(b)
}
