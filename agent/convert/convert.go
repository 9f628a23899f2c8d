// Package convert turns disks from one format into another with qemu-img.
//
// What is converted came from somebody else. A disk that names other files could
// make qemu-img read any file of the host into an image, and so into a guest:
// such disks are refused before it opens them for reading, by their header, and
// again by what qemu-img itself says of them. The format is always given, never
// guessed.
package convert

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"grapevine/fleet"
	"grapevine/internal/diskhead"
)

// The errors that callers tell apart.
var (
	// ErrAbsent: there is no qemu-img.
	ErrAbsent = errors.New("qemu-img is not installed; install the package qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, RHEL, SUSE)")
	// ErrOutOfSpace: there is no room for the converted disk.
	ErrOutOfSpace = errors.New("out of space for the converted disk")
)

// Formats are those that are read, in fleet's words.
var Formats = []string{fleet.FormatQCOW2, fleet.FormatRaw, fleet.FormatVHD, fleet.FormatVMDK}

// Available reports whether there is a qemu-img. It looks once in a process.
var Available = sync.OnceValue(func() bool {
	_, err := Find()
	return err == nil
})

// inQEMU is what QEMU calls a format.
func inQEMU(format string) string {
	if format == fleet.FormatVHD {
		return "vpc"
	}
	return format
}

// limit is how long one conversion may take.
const limit = 2 * time.Hour

// Find returns the path of qemu-img, or ErrAbsent.
func Find() (string, error) {
	path, err := exec.LookPath("qemu-img")
	if err != nil {
		return "", ErrAbsent
	}
	return path, nil
}

// Disk converts the disk of an image, which lies at path in the format that its
// manifest says, to another format, at to. It describes what it made. VMDK is
// made as one compressed file, as ESXi imports it.
func Disk(ctx context.Context, f fleet.ImageFile, path, format, to string) (fleet.ImageFile, error) {
	qemu, err := Find()
	if err != nil {
		return fleet.ImageFile{}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
	defer cancel()
	if err := check(ctx, qemu, f, path); err != nil {
		return fleet.ImageFile{}, fmt.Errorf("the disk: %w", err)
	}
	args := []string{"convert", "-q", "-f", inQEMU(f.Format), "-O", inQEMU(format)}
	if format == fleet.FormatVMDK {
		args = append(args, "-o", "subformat=streamOptimized")
	}
	if _, err := run(ctx, qemu, append(args, path, to)...); err != nil {
		return fleet.ImageFile{}, errors.Join(fmt.Errorf("convert from %s to %s: %w", f.Format, format, err), remove(to))
	}
	made, err := describe(to, format)
	if err != nil {
		return fleet.ImageFile{}, errors.Join(err, remove(to))
	}
	return made, nil
}

// check refuses a disk that is not what its manifest says, or not all of it.
func check(ctx context.Context, qemu string, f fleet.ImageFile, path string) error {
	if f.Format != fleet.FormatRaw {
		if err := checkHeader(f, path); err != nil {
			return err
		}
	}
	out, err := run(ctx, qemu, "info", "-f", inQEMU(f.Format), "--output=json", path)
	if err != nil {
		return err
	}
	var said info
	if err := json.Unmarshal(out, &said); err != nil {
		return fmt.Errorf("read what qemu-img says of it: %w", err)
	}
	return said.judge(f, path)
}

func checkHeader(f fleet.ImageFile, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	format, virtual, err := diskhead.Read(file, f.Bytes)
	switch {
	case err != nil:
		return fmt.Errorf("it %w", err)
	case format != f.Format:
		return fmt.Errorf("it is %s, the manifest says %s", format, f.Format)
	case virtual > fleet.MaxDiskGiB<<30:
		return fmt.Errorf("it is %d bytes large for a guest, more than any disk", virtual)
	}
	return nil
}

// info is what qemu-img info says, as far as it is looked at.
type info struct {
	VirtualSize int64  `json:"virtual-size"`
	Backing     string `json:"backing-filename"`
	Encrypted   bool   `json:"encrypted"`
	Specific    struct {
		Data struct {
			DataFile string `json:"data-file"`
			Extents  []struct {
				Filename string `json:"filename"`
			} `json:"extents"`
		} `json:"data"`
	} `json:"format-specific"`
}

func (i *info) judge(f fleet.ImageFile, path string) error {
	switch {
	case i.Backing != "" || i.Specific.Data.DataFile != "":
		return errors.New("it needs another file beside it")
	case i.Encrypted:
		return errors.New("it is encrypted")
	case i.VirtualSize > f.VirtualBytes:
		return fmt.Errorf("it is %d bytes large for a guest, the manifest says %d", i.VirtualSize, f.VirtualBytes)
	}
	for _, extent := range i.Specific.Data.Extents {
		if extent.Filename != path {
			return fmt.Errorf("a part of it is in another file, %.80q", filepath.Base(extent.Filename))
		}
	}
	return nil
}

// run runs qemu-img and returns what it prints.
func run(ctx context.Context, qemu string, args ...string) ([]byte, error) {
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, qemu, args...)
	cmd.Env = []string{"LC_ALL=C", "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	said := strings.TrimSpace(problems.String())
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case strings.Contains(said, "No space left on device") || strings.Contains(said, "Disk quota exceeded") || strings.Contains(said, "File too large"):
		return nil, fmt.Errorf("%w: %.500s", ErrOutOfSpace, said)
	default:
		return nil, fmt.Errorf("%w: %.500s", err, said)
	}
}

// describe looks at what was made.
func describe(path, format string) (fleet.ImageFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return fleet.ImageFile{}, err
	}
	defer file.Close()
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return fleet.ImageFile{}, fmt.Errorf("read converted disk: %w", err)
	}
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum.Sum(nil)), Bytes: size, Format: format, VirtualBytes: size}
	if format != fleet.FormatRaw {
		if _, f.VirtualBytes, err = diskhead.Read(file, size); err != nil {
			return fleet.ImageFile{}, fmt.Errorf("what qemu-img made %w", err)
		}
	}
	return f, nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	return nil
}
