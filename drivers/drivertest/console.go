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
