package fetch

import (
	"fmt"
	"os"
)

// Fresh makes the folder of this name, empty: what was in it is removed. Names
// that belong to no image's id are for what this host makes by itself.
func (s *Spool) Fresh(name string) (folder string, err error) {
	if err := s.Remove(name); err != nil {
		return "", err
	}
	if err := os.Mkdir(s.Folder(name), 0o700); err != nil {
		return "", fmt.Errorf("make folder in the spool: %w", Full(err))
	}
	return s.Folder(name), nil
}

// Remove removes the folder that Fresh has made.
func (s *Spool) Remove(name string) error {
	if err := os.RemoveAll(s.Folder(name)); err != nil {
		return fmt.Errorf("clear spool: %w", err)
	}
	return nil
}
