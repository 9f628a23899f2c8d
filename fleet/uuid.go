package fleet

import (
	"crypto/sha1" //nolint:gosec // RFC 9562 defines version 5 over SHA-1; nothing secret rests on it.
	"encoding/hex"
	"errors"
	"fmt"
)

// UUID is a 128-bit identifier as in RFC 9562. The zero value means "none".
type UUID [16]byte

// HostID names one hypervisor machine for its whole life: it is bound to the
// machine, not to its host name or address.
type HostID = UUID

// InstanceID names one virtual machine. For a managed instance it is chosen
// at creation; for a foreign one it is the hypervisor's own UUID.
type InstanceID = UUID

// ErrBadUUID is wrapped by every error of ParseUUID.
var ErrBadUUID = errors.New("not a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")

// ParseUUID reads the 36-character form, in either case.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return UUID{}, fmt.Errorf("%.40q: %w", s, ErrBadUUID)
	}
	compact := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:36]
	if _, err := hex.Decode(u[:], []byte(compact)); err != nil {
		return UUID{}, fmt.Errorf("%.40q: %w", s, ErrBadUUID)
	}
	return u, nil
}

// UUIDFromBytes copies a 16-byte slice, as found on the wire or in a
// hypervisor's answer.
func UUIDFromBytes(b []byte) (UUID, error) {
	var u UUID
	if len(b) != len(u) {
		return u, fmt.Errorf("%d bytes: %w", len(b), ErrBadUUID)
	}
	copy(u[:], b)
	return u, nil
}

// NewUUIDv4 shapes 16 random bytes, which the caller draws, into a version 4
// UUID.
func NewUUIDv4(random [16]byte) UUID {
	return stamp(random, 4)
}

// NewUUIDv5 derives the UUID that always belongs to name within space.
func NewUUIDv5(space UUID, name string) UUID {
	h := sha1.New() //nolint:gosec // see the import.
	h.Write(space[:])
	h.Write([]byte(name))
	return stamp([16]byte(h.Sum(nil)[:16]), 5)
}

func stamp(u [16]byte, version byte) UUID {
	u[6] = u[6]&0x0f | version<<4
	u[8] = u[8]&0x3f | 0x80
	return u
}

// instanceSpace is the name space under which projects have theirs.
var instanceSpace = UUID{0x8a, 0x1c, 0x3e, 0x0b, 0x5d, 0x2f, 0x4c, 0x61, 0x9b, 0x7e, 0x67, 0x72, 0x61, 0x70, 0x65, 0x31}

// KeyedInstanceID is the id of the instance that project creates under an
// idempotency key: UUIDv5(project, key), the same at every registry, so that
// a retry anywhere names the same machine.
func KeyedInstanceID(project, key string) InstanceID {
	return NewUUIDv5(NewUUIDv5(instanceSpace, project), key)
}

// IsZero reports whether u is the zero value, "none".
func (u UUID) IsZero() bool { return u == UUID{} }

// String returns the 36-character lower-case form.
func (u UUID) String() string {
	var b [36]byte
	return string(u.Append(b[:0]))
}

// Append appends the form that String returns to buf.
func (u UUID) Append(buf []byte) []byte {
	var b [36]byte
	hex.Encode(b[0:8], u[0:4])
	hex.Encode(b[9:13], u[4:6])
	hex.Encode(b[14:18], u[6:8])
	hex.Encode(b[19:23], u[8:10])
	hex.Encode(b[24:36], u[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return append(buf, b[:]...)
}

// MarshalText implements encoding.TextMarshaler; the zero value is empty.
func (u UUID) MarshalText() ([]byte, error) {
	if u.IsZero() {
		return nil, nil
	}
	return []byte(u.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler; empty is the zero value.
func (u *UUID) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*u = UUID{}
		return nil
	}
	parsed, err := ParseUUID(string(b))
	if err != nil {
		return err
	}
	*u = parsed
	return nil
}

// Compare orders UUIDs bytewise: -1, 0 or +1.
func (u UUID) Compare(v UUID) int {
	for i := range u {
		if u[i] != v[i] {
			if u[i] < v[i] {
				return -1
			}
			return 1
		}
	}
	return 0
}
