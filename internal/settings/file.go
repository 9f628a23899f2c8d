package settings

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFileBytes bounds a configuration file: nobody writes a megabyte of it.
const maxFileBytes = 1 << 20

func (s *Set) loadFile(path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() > maxFileBytes {
		return fmt.Errorf("%s is %d bytes long; a configuration is at most %d", path, info.Size(), maxFileBytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	defaults := s.emptyLists()
	meta, err := toml.Decode(string(text), s.target)
	if err != nil {
		return fileError(path, err)
	}
	for k, list := range defaults {
		if !meta.IsDefined(k.Name) {
			k.field.Set(list)
		}
	}
	return s.unknown(path, string(text), meta.Undecoded())
}

// Decode reads a file of any shape into target, which holds what is so where the
// file says nothing. A key that target does not have is an error that names the
// line; path is for errors.
func Decode(path string, text []byte, target any) error {
	meta, err := toml.Decode(string(text), target)
	if err != nil {
		return fileError(path, err)
	}
	if unknown := meta.Undecoded(); len(unknown) > 0 {
		name := unknown[0].String()
		return fmt.Errorf("%s:%d: unknown key %q; remove it or correct its name", path, lineOf(string(text), name), name)
	}
	return nil
}

// TableLines returns the lines on which the entries of a list of tables begin.
func TableLines(text, name string) []int {
	var out []int
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if m := tableLine.FindStringSubmatch(line); m != nil && m[1] == name && strings.HasPrefix(strings.TrimSpace(line), "[[") {
			out = append(out, number)
		}
	}
	return out
}

// emptyLists takes the default lists away and returns them: the decoder would
// lay the file's tables over the default ones, field by field.
func (s *Set) emptyLists() map[*Key]reflect.Value {
	defaults := map[*Key]reflect.Value{}
	for _, k := range s.keys {
		if k.field.Kind() == reflect.Slice {
			list := reflect.New(k.field.Type()).Elem()
			list.Set(k.field)
			defaults[k] = list
			k.field.SetZero()
		}
	}
	return defaults
}

// wrongType recognises the library's words for a value of the wrong type.
var wrongType = regexp.MustCompile(`^toml: line (\d+) \(last key "(.*)"\): (?:incompatible types: )?(.*)$`)

func fileError(path string, err error) error {
	if parse, ok := errors.AsType[toml.ParseError](err); ok {
		return fmt.Errorf("%s:%d: %s", path, parse.Position.Line, parse.Message)
	}
	if m := wrongType.FindStringSubmatch(err.Error()); m != nil {
		return fmt.Errorf("%s:%s: %s: %s", path, m[1], m[2], m[3])
	}
	return fmt.Errorf("%s: %w", path, err)
}

// unknown reports the first key of the file that the struct does not have.
func (s *Set) unknown(path, text string, keys []toml.Key) error {
	if len(keys) == 0 {
		return nil
	}
	name := keys[0].String()
	hint := "; list the keys with --help"
	if near := s.nearest(name); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("%s:%d: unknown key %q%s", path, lineOf(text, name), name, hint)
}

var (
	tableLine = regexp.MustCompile(`^\s*\[\[?\s*([^\]]+?)\s*\]`)
	keyLine   = regexp.MustCompile(`^\s*([A-Za-z0-9_."'-]+)\s*=`)
)

// lineOf returns the line that sets key, or opens it as a table; 0 when no
// line does (a key inside an inline table).
func lineOf(text, key string) int {
	table, number := "", 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		if m := tableLine.FindStringSubmatch(line); m != nil {
			table = m[1] + "."
			if m[1] == key || strings.HasPrefix(m[1], key+".") {
				return number
			}
		}
		if m := keyLine.FindStringSubmatch(line); m != nil {
			if name := table + m[1]; name == key || strings.HasPrefix(name, key+".") {
				return number
			}
		}
	}
	return 0
}

// nearest returns the known key that is at most a third of its length away.
func (s *Set) nearest(name string) string {
	best, bestDistance := "", len(name)/3+1
	for _, k := range s.keys {
		if d := distance(name, k.Name); d < bestDistance {
			best, bestDistance = k.Name, d
		}
	}
	return best
}

// distance is Levenshtein's: how many bytes to insert, remove or replace.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
