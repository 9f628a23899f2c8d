package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"grapevine/identity"
)

// nodeFiles are the files of a node that configuration names.
type nodeFiles struct {
	identity.Files
	gossipKey, fleet string
	caCert, caKey    string
}

// own loads what a node of this role is a member by, and the CA that it may
// hold.
func (a *app) own(f nodeFiles, role identity.Role) (identity.Credentials, error) {
	own, err := identity.LoadCredentials(f.Files, f.gossipKey, f.fleet, role, a.now())
	if err != nil {
		return identity.Credentials{}, err
	}
	own.CA, err = identity.LoadIssuer(f.caCert, f.caKey, own.Identity, a.now())
	return own, err
}

// maxJoinFile bounds the file of members to join through.
const maxJoinFile = 64 << 10

// joinFrom reads the members in a file, one a line; one that is absent has none.
func joinFrom(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Size() > maxJoinFile {
		return nil, fmt.Errorf("join_file %s is longer than %d bytes; leave a few members in it, one a line", path, maxJoinFile)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read join_file: %w", err)
	}
	var members []string
	for line := range strings.Lines(string(content)) {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
			members = append(members, strings.TrimSpace(line))
		}
	}
	return members, nil
}
