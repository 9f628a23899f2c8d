package fleet

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Version says how new a host's account of itself is. The epoch rises at each
// start of the host's agent and is durable before anything is published under
// it; seq restarts inside an epoch. Versions of one host are ordered; versions
// of two hosts are not comparable, and no clock is involved.
type Version struct {
	Host  HostID
	Epoch uint64
	Seq   uint64
}

// ErrBadVersion is wrapped by every error of ParseVersion.
var ErrBadVersion = errors.New("not a version of the form host:epoch:seq")

// ParseVersion reads the form that String writes, which is also that of the
// headers Grapevine-Version and Grapevine-At-Least.
func ParseVersion(s string) (Version, error) {
	parts := strings.Split(s, ":")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("%.80q: %w", s, ErrBadVersion)
	}
	host, errHost := ParseUUID(parts[0])
	epoch, errEpoch := strconv.ParseUint(parts[1], 10, 64)
	seq, errSeq := strconv.ParseUint(parts[2], 10, 64)
	if errHost != nil || errEpoch != nil || errSeq != nil {
		return Version{}, fmt.Errorf("%.80q: %w", s, ErrBadVersion)
	}
	return Version{Host: host, Epoch: epoch, Seq: seq}, nil
}

// IsZero reports whether v names no publication at all.
func (v Version) IsZero() bool { return v == Version{} }

// AtLeast reports whether v is of the same host as w and not older than it.
func (v Version) AtLeast(w Version) bool {
	return v.Host == w.Host && (v.Epoch > w.Epoch || v.Epoch == w.Epoch && v.Seq >= w.Seq)
}

// String returns host:epoch:seq, or nothing for the zero value.
func (v Version) String() string {
	if v.IsZero() {
		return ""
	}
	return v.Host.String() + ":" + strconv.FormatUint(v.Epoch, 10) + ":" + strconv.FormatUint(v.Seq, 10)
}

// MarshalText implements encoding.TextMarshaler.
func (v Version) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty is the zero value.
func (v *Version) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*v = Version{}
		return nil
	}
	parsed, err := ParseVersion(string(b))
	if err != nil {
		return err
	}
	*v = parsed
	return nil
}
