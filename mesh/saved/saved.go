// Package saved keeps a copy of the fleet, as one node holds it, in a file: so
// that after a power cut of a whole site the hosts that stay down are not
// forgotten. What was saved is a dated copy like any other, and stale until it
// is heard again.
package saved

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// magic begins a saved fleet; eight bytes with the time follow, and then,
// for each host, the frame in which a link would carry its whole block.
const magic = "grapevine fleet 1\n"

// Save writes every block but this host's own, which its hypervisor and its
// journal know better. The file is replaced whole or not at all.
func Save(path string, r *replica.Replica, self fleet.UUID, now time.Time) (err error) {
	next := path + ".next"
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("save the fleet: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(next)
		}
	}()
	out := bufio.NewWriter(file)
	err = errors.Join(writeBlocks(out, r, self, now), out.Flush(), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		return fmt.Errorf("save the fleet: %w", err)
	}
	return nil
}

func writeBlocks(out io.Writer, r *replica.Replica, self fleet.UUID, now time.Time) error {
	frame := binary.BigEndian.AppendUint64([]byte(magic), uint64(now.UnixMilli())) // after 1970
	for b := range r.Blocks() {
		if _, err := out.Write(frame); err != nil {
			return err
		}
		frame = frame[:0]
		if b.HostID() == self {
			continue
		}
		d := wire.Delta{Tag: wire.TagOf(b.HostID()), Head: b.Head(), Form: wire.Whole, Rows: b.Rows(), Signature: b.Signature()}
		if sign := r.Sign(b.HostID()); sign != nil && sign.Epoch == d.Head.Epoch {
			d.Beat, d.AgeMS = sign.Beat, uint64(sign.Age(now).Milliseconds()) // not negative
		}
		var err error
		if frame, err = wire.AppendFrame(frame, &wire.Answer{Deltas: []wire.Delta{d}}); err != nil {
			return fmt.Errorf("block of host %s: %w", b.HostID(), err)
		}
	}
	_, err := out.Write(frame)
	return err
}

// Load fills an empty replica with what was saved, and returns how many hosts
// that were; none where nothing was saved. All of it is as old as it was then,
// and as much older as this machine's clock says has passed since. What cannot
// be read is left out: the mesh tells it again.
func Load(path string, r *replica.Replica, now time.Time) (hosts int, err error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("load the saved fleet: %w", err)
	}
	defer file.Close()
	in := bufio.NewReader(file)
	var header [len(magic) + 8]byte
	if _, err := io.ReadFull(in, header[:]); err != nil || string(header[:len(magic)]) != magic {
		return 0, fmt.Errorf("load the saved fleet: %s is not one", path)
	}
	passed := max(now.Sub(time.UnixMilli(int64(binary.BigEndian.Uint64(header[len(magic):])))), 0) // a bound is in Apply
	for frames := wire.NewReader(in); ; hosts++ {
		message, _, err := frames.Read()
		if errors.Is(err, io.EOF) {
			return hosts, nil
		}
		if err != nil {
			return hosts, fmt.Errorf("load the saved fleet: %w", err)
		}
		if err := take(r, message, passed, now); err != nil {
			return hosts, fmt.Errorf("load the saved fleet: %w", err)
		}
	}
}

// take merges a saved block.
func take(r *replica.Replica, message wire.Message, passed time.Duration, now time.Time) error {
	answer, ok := message.(*wire.Answer)
	if !ok || len(answer.Deltas) != 1 {
		return errors.New("a frame in it is no block")
	}
	d := answer.Deltas[0]
	if d.Beat != 0 {
		d.AgeMS += uint64(passed.Milliseconds()) // not negative
	}
	result, err := r.Apply(d, fleet.UUID{}, now)
	if result != replica.Applied {
		return fmt.Errorf("block of host %s is %s: %w", d.Head.Host, result, err)
	}
	return nil
}
