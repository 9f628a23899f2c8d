package people

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
)

// What new hashes cost, as OWASP has it for argon2id: 19 MiB and two passes, some
// 30 ms of a core.
const (
	hashMemoryKiB = 19 << 10
	hashPasses    = 2
	hashLanes     = 1
	saltBytes     = 16
	sumBytes      = 32
)

// What a hash in the file may cost at most: whoever writes one must not take a
// registry's memory.
const (
	maxMemoryKiB = 64 << 10
	maxPasses    = 10
	maxLanes     = 4
)

// MinPasswordBytes and MaxPasswordBytes bound a password.
const (
	MinPasswordBytes = 8
	MaxPasswordBytes = 256
)

// phc is a hash as it is written: $argon2id$v=19$m=,t=,p=$salt$sum.
type phc struct {
	memoryKiB, passes uint32
	lanes             uint8
	salt, sum         []byte
}

func newPHC() phc { return phc{memoryKiB: hashMemoryKiB, passes: hashPasses, lanes: hashLanes} }

// cost is by what hashes are compared.
func (p *phc) cost() uint64 { return uint64(p.memoryKiB) * uint64(p.passes) }

var errPHC = errors.New("is not an argon2id hash that this release takes; make one with: grapevine user hash-password")

func parsePHC(text string) (phc, error) {
	var p phc
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errPHC
	}
	if n, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memoryKiB, &p.passes, &p.lanes); err != nil || n != 3 || parts[3] != p.parameters() {
		return p, errPHC
	}
	var errs [2]error
	p.salt, errs[0] = base64.RawStdEncoding.Strict().DecodeString(parts[4])
	p.sum, errs[1] = base64.RawStdEncoding.Strict().DecodeString(parts[5])
	switch {
	case errors.Join(errs[:]...) != nil, len(p.salt) < 8, len(p.salt) > 64, len(p.sum) < 16, len(p.sum) > 64:
		return p, errPHC
	case p.lanes < 1 || p.lanes > maxLanes, p.passes < 1 || p.passes > maxPasses, p.memoryKiB < 8*uint32(p.lanes) || p.memoryKiB > maxMemoryKiB:
		return p, fmt.Errorf("costs %s; at most m=%d,t=%d,p=%d are taken", p.parameters(), maxMemoryKiB, maxPasses, maxLanes)
	}
	return p, nil
}

func (p *phc) parameters() string {
	return fmt.Sprintf("m=%d,t=%d,p=%d", p.memoryKiB, p.passes, p.lanes)
}

// String writes the hash.
func (p *phc) String() string {
	b64 := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("$argon2id$v=%d$%s$%s$%s", argon2.Version, p.parameters(), b64(p.salt), b64(p.sum))
}

func (p *phc) of(password string) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.passes, p.memoryKiB, p.lanes, uint32(len(p.sum)))
}

// matches takes as long for a wrong password as for the right one.
func (p *phc) matches(password string) bool {
	return subtle.ConstantTimeCompare(p.of(password), p.sum) == 1
}

// HashPassword returns the PHC string of a password. The error never repeats it.
func HashPassword(password string) (string, error) {
	switch {
	case len(password) < MinPasswordBytes || len(password) > MaxPasswordBytes:
		return "", fmt.Errorf("the password is %d bytes long; use %d to %d", len(password), MinPasswordBytes, MaxPasswordBytes)
	case !utf8.ValidString(password), strings.ContainsAny(password, "\r\n\x00"):
		return "", errors.New("the password is not one line of UTF-8; choose another")
	}
	p := newPHC()
	p.salt, p.sum = make([]byte, saltBytes), make([]byte, sumBytes)
	_, _ = rand.Read(p.salt) // crypto/rand never fails: it ends the program instead
	p.sum = p.of(password)
	return p.String(), nil
}
