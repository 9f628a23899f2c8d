// Package settings fills one struct from four places: its defaults, a TOML
// file, environment variables and command-line flags, each outranking the one
// before. A misspelt key is an error that names the line and the nearest key.
//
// Every exported field with a toml tag is a key. The key data_dir has the flag
// --data-dir and the variable GRAPEVINE_DATA_DIR; its help text is the field's
// help tag. Keys are strings, numbers, booleans, durations ("30s"), types that
// read themselves from text, and lists of these, comma-separated outside the
// file; or pairs of texts, a table in the file and key=value,key=value outside.
// A list of tables, or any other table, is for the file alone.
package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// Key is one setting. It is a flag value too (String, Set and Type), which
// remembers what the command line said until Load applies it.
type Key struct {
	Name string // data_dir
	Help string
	// FileOnly keys are tables: they have neither flag nor variable.
	FileOnly bool

	field reflect.Value
	text  string
	given bool
}

// Set of the keys of one struct.
type Set struct {
	prefix string
	target any
	keys   []*Key
}

// For returns the keys of target, a pointer to a struct that holds its
// defaults. Variables begin with prefix and an underscore. It panics when
// target is not made for it, which is a programmer's mistake.
func For(target any, prefix string) *Set {
	v := reflect.ValueOf(target)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("settings: %T is not a pointer to a struct", target))
	}
	s := &Set{prefix: prefix, target: target}
	s.collect(v.Elem())
	return s
}

func (s *Set) collect(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		switch {
		case name == "-" || !field.IsExported() && !field.Anonymous:
		case field.Anonymous && name == "":
			s.collect(v.Field(i))
		case name == "":
			panic(fmt.Sprintf("settings: field %s of %s has no toml tag", field.Name, v.Type()))
		default:
			s.keys = append(s.keys, &Key{Name: name, Help: field.Tag.Get("help"), FileOnly: !scalar(field.Type, true), field: v.Field(i)})
		}
	}
}

// scalar reports whether a value of this type is written as one text; lists of
// scalars and pairs of texts are, once, with commas.
func scalar(t reflect.Type, list bool) bool {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64, reflect.Float64, reflect.Int32, reflect.Uint32, reflect.Uint16:
		return true
	case reflect.Slice:
		return list && scalar(t.Elem(), false)
	case reflect.Map:
		return list && t.Key().Kind() == reflect.String && t.Elem().Kind() == reflect.String
	default:
		return false
	}
}

// Keys returns the keys in the order of the struct's fields.
func (s *Set) Keys() []*Key { return s.keys }

// Env returns the key's environment variable.
func (s *Set) Env(k *Key) string { return s.prefix + "_" + strings.ToUpper(k.Name) }

// Flag returns the key's flag, without dashes in front.
func (k *Key) Flag() string { return strings.ReplaceAll(k.Name, "_", "-") }

// Set remembers the text that the command line gave, and refuses at once what
// cannot be read.
func (k *Key) Set(text string) error {
	if err := parse(reflect.New(k.field.Type()).Elem(), text); err != nil {
		return err
	}
	k.text, k.given = text, true
	return nil
}

// String returns the key's value as it would be given on the command line.
func (k *Key) String() string {
	if k.given {
		return k.text
	}
	return format(k.field)
}

// Current returns the key's value as it is in the struct now, written as on the
// command line.
func (k *Key) Current() string { return format(k.field) }

// Type names the kind of value, for help texts.
func (k *Key) Type() string {
	switch {
	case k.field.Type() == reflect.TypeFor[time.Duration]():
		return "duration"
	case k.field.Kind() == reflect.Slice:
		return "list"
	case k.field.Kind() == reflect.Map:
		return "pairs"
	case k.field.Kind() == reflect.Bool:
		return "bool"
	case k.field.CanInt() || k.field.CanUint():
		return "number"
	default:
		return "string"
	}
}

// Load fills the struct: the file (none when path is empty), then the
// variables that lookup finds (os.LookupEnv), then the flags that were Set.
// An error is one sentence naming the file and line, variable or flag at fault.
func (s *Set) Load(path string, lookup func(string) (string, bool)) error {
	if path != "" {
		if err := s.loadFile(path); err != nil {
			return err
		}
	}
	for _, k := range s.keys {
		if k.FileOnly {
			continue
		}
		if text, ok := lookup(s.Env(k)); ok {
			if err := parse(k.field, text); err != nil {
				return fmt.Errorf("variable %s: %w", s.Env(k), err)
			}
		}
		if k.given {
			if err := parse(k.field, k.text); err != nil {
				return fmt.Errorf("flag --%s: %w", k.Flag(), err)
			}
		}
	}
	return nil
}
