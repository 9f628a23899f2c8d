package dev

import (
	"fmt"
	"os"
	"path/filepath"

	"grapevine/people"
)

// The users of the fleet, for clients that need one to log in as: an admin, and a
// member of a project. Their password is no secret, for nobody needs one here: who
// can reach the registry is on this machine, and an operator without it.
const (
	Admin    = "admin"
	Member   = "demo"
	Project  = "demo"
	Password = "grapevine"
)

// writeUsers writes the users file of the fleet.
func writeUsers(folder string) (string, error) {
	hash, err := people.HashPassword(Password)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf(`requests_per_second = 10000

[[users]]
name = %[1]q
password = %[4]q
role = "admin"

[[users]]
name = %[2]q
password = %[4]q

[[projects]]
name = "default"

[[projects]]
name = %[3]q
members = [%[2]q]
`, Admin, Member, Project, hash)
	path := filepath.Join(folder, "users.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("write the users: %w", err)
	}
	return path, nil
}
