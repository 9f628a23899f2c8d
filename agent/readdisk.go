package agent

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"grapevine/agent/fetch"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/diskhead"
)

// diskReader is the driver with what its machines' disks hold, or why that is
// not read here.
func (a *Agent) diskReader() (drivers.DiskReader, error) {
	return able[drivers.DiskReader](a, drivers.FeatureReadDisks, "does not read out the disks of its machines")
}

// idle says why the disks of an instance cannot be read now.
func idle(row *fleet.Instance, built bool) error {
	if err := ours(row, built); err != nil {
		return err
	}
	switch {
	case built && row.Power != fleet.PowerStopped:
		return errorf(fleet.CodeConflict, "instance %s is %s, and its disks are read while it is stopped; stop it first with: grapevine instance stop %s", row.ID, row.Power, row.ID)
	case built && row.DiskGiB == 0:
		return errorf(fleet.CodeUnsupported, "instance %s has no disk; what it boots is image %.12s", row.ID, row.Image)
	default:
		return nil
	}
}

// readOut reads a disk of a machine that is stopped, and stays so, into a file,
// and describes it. Done is told how much is there.
func (a *Agent) readOut(ctx context.Context, id fleet.InstanceID, disk, path string, done func(done, total int64)) (fleet.ImageFile, error) {
	reader, err := a.diskReader()
	if err != nil {
		return fleet.ImageFile{}, err
	}
	var made fleet.ImageFile
	err = a.persist(ctx, func() error {
		content, err := reader.ReadDisk(ctx, id, disk)
		if err != nil {
			return err
		}
		w := &diskFile{room: a.spool.Room, done: func(n int64) { done(n, content.Bytes) }, sum: sha256.New()}
		made, err = w.take(content, path)
		if err := errors.Join(err, content.Close()); err != nil {
			return err
		}
		m, err := a.driver.Inspect(ctx, id)
		if err != nil {
			return err
		}
		return drivers.Readable(&m) // whoever started it meanwhile has written to the disk
	})
	if err != nil {
		return fleet.ImageFile{}, fmt.Errorf("read %s: %w", disk, err)
	}
	return made, nil
}

// diskFile writes a disk into a file, with holes where it has nothing.
type diskFile struct {
	room func() (int64, error)
	done func(int64)
	sum  hash.Hash
	at   int64
}

const (
	diskChunk = 1 << 20
	// lookForRoom is after how many bytes the room is looked at again: others
	// write to the same disk.
	lookForRoom = 64 * diskChunk
)

func (w *diskFile) take(content *drivers.DiskContent, path string) (fleet.ImageFile, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fleet.ImageFile{}, fetch.Full(err)
	}
	defer file.Close()
	need := int64(0)
	if content.Format != fleet.FormatRaw {
		need = content.Bytes // of a raw disk most may be holes
	}
	if err := w.copy(file, content, need); err != nil {
		return fleet.ImageFile{}, err
	}
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(w.sum.Sum(nil)), Bytes: w.at, Format: content.Format, VirtualBytes: w.at}
	if content.Format == fleet.FormatRaw {
		return f, nil // whatever it begins with
	}
	format, virtual, err := diskhead.Read(file, w.at)
	if err != nil {
		return fleet.ImageFile{}, fmt.Errorf("what was read %w", err)
	}
	if format != f.Format {
		return fleet.ImageFile{}, fmt.Errorf("what was read is %s and not %s", format, f.Format)
	}
	f.VirtualBytes = virtual
	return f, nil
}

func (w *diskFile) copy(file *os.File, from io.Reader, need int64) error {
	block, zeros := make([]byte, diskChunk), make([]byte, diskChunk)
	for {
		if w.at%lookForRoom == 0 {
			if err := w.look(max(need-w.at, diskChunk)); err != nil {
				return err
			}
		}
		n, err := io.ReadFull(from, block)
		w.sum.Write(block[:n])
		if !bytes.Equal(block[:n], zeros[:n]) {
			if _, err := file.WriteAt(block[:n], w.at); err != nil {
				return fetch.Full(err)
			}
		}
		w.at += int64(n)
		w.done(w.at)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fetch.Full(file.Truncate(w.at))
		}
		if err != nil {
			return err
		}
	}
}

func (w *diskFile) look(need int64) error {
	room, err := w.room()
	if err == nil && room < need {
		err = fmt.Errorf("%w: %d MiB are free, and %d MiB are missing", fetch.ErrOutOfSpace, max(room, 0)>>20, need>>20)
	}
	return err
}
