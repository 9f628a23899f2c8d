// Package buildinfo says which build of the program this is.
package buildinfo

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// These are set by the linker: -ldflags "-X grapevine/internal/buildinfo.version=v1.2.3".
var version, commit = "", ""

// Info is what a build knows about itself.
type Info struct {
	Version  string `json:"version"`  // tag or "devel"
	Commit   string `json:"commit"`   // empty when built outside a checkout
	Modified bool   `json:"modified"` // the checkout had uncommitted changes
	Go       string `json:"go"`       // toolchain
	Platform string `json:"platform"` // os/arch
}

// Get returns this build's Info.
func Get() Info {
	info := Info{Version: version, Commit: commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info.Version == "" {
		info.Version = "devel"
	}
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return info
	}
	for _, s := range build.Settings {
		switch s.Key {
		case "vcs.revision":
			info.Commit = s.Value
		case "vcs.modified":
			info.Modified = s.Value == "true"
		}
	}
	return info
}

// Version returns the version alone, short enough for a host's row.
func Version() string { return Get().Version }

// String returns one line for people.
func (i Info) String() string {
	commit := i.Commit
	if commit == "" {
		commit = "unknown commit"
	} else {
		commit = fmt.Sprintf("commit %.12s", commit)
	}
	if i.Modified {
		commit += ", modified"
	}
	return fmt.Sprintf("%s (%s, %s, %s)", i.Version, commit, i.Go, i.Platform)
}
