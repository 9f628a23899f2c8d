package settings

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/BurntSushi/toml"
)

// Table is a table whose keys somebody else knows.
type Table map[string]any

// Decode reads the table into a struct with toml tags, which holds what is so where
// the table says nothing. A key that the struct does not have is an error.
func (t Table) Decode(into any) error {
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(t); err != nil {
		return fmt.Errorf("read the table again: %w", err)
	}
	meta, err := toml.Decode(text.String(), into)
	if err != nil {
		if m := wrongType.FindStringSubmatch(err.Error()); m != nil {
			return fmt.Errorf("%s: %s", m[2], m[3])
		}
		return err
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		names := make([]string, len(unknown))
		for i, key := range unknown {
			names[i] = key.String()
		}
		return fmt.Errorf("unknown key %s; remove it or correct its name", strings.Join(names, ", "))
	}
	return nil
}
