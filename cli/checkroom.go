package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"grapevine/internal/buildinfo"
)

const (
	// scarceRoom is where a journal's disk is worth a warning, and noRoom where
	// the next promise may not be kept on it.
	scarceRoom = 1 << 30
	noRoom     = 64 << 20
)

// checkRoom looks how much the disk takes that the journal and images on their
// way lie on.
func checkRoom(dir string) finding {
	existing := dir
	for {
		if _, err := os.Stat(existing); err == nil || filepath.Dir(existing) == existing {
			break
		}
		existing = filepath.Dir(existing)
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(existing, &fs); err != nil {
		return found("room", dir, levelWarning, sentence(err), "look at the disk that data_dir is on")
	}
	return roomFinding(dir, int64(fs.Bavail)*int64(fs.Bsize), int64(fs.Ffree), int64(fs.Files)) //nolint:unconvert // the types differ between platforms.
}

// roomFinding judges room: bytes that are free, and files that there may still
// be, of so many; a file system that counts none says 0.
func roomFinding(dir string, free, files, ofFiles int64) finding {
	said := byteSize(free) + " are free"
	switch {
	case free < noRoom:
		return found("room", dir, levelError, said+": the agent can promise nothing, for promises are on disk first", "free some, or set data_dir")
	case ofFiles > 0 && files < 100:
		return found("room", dir, levelError, fmt.Sprintf("%s, but there can be only %d files more", said, files), "remove files there, or set data_dir")
	case free < scarceRoom:
		return found("room", dir, levelWarning, said+"; images lie there on their way", "free some, or set data_dir")
	default:
		return fine("room", dir, said)
	}
}

// checkVersion compares the daemon that runs with the program that is installed.
func checkVersion(ctx context.Context, version func(context.Context) (string, error)) finding {
	ctx, cancel := context.WithTimeout(ctx, probe)
	defer cancel()
	runs, err := version(ctx)
	own := buildinfo.Get().Version
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return found("version", "version", levelWarning, "the daemon that runs does not say which it is within "+probe.String(), "look at its log")
	case err != nil:
		return found("version", "version", levelWarning, sentence(err), "look at the daemon's log")
	case runs != own:
		return found("version", "version", levelWarning, fmt.Sprintf("%s runs, and %s is installed", runs, own), "restart the daemon; guests do not notice")
	default:
		return fine("version", "version", own+" runs and is installed")
	}
}
