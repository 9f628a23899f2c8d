package settings

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// exampleWidth is how wide the explanations of an example are.
const exampleWidth = 78

// Example returns a configuration file that says nothing and explains all:
// every key with its help, its flag and its variable, commented out at what it
// holds now. Tables come last, for what follows a table belongs to it.
func (s *Set) Example() string {
	var keys, tables strings.Builder
	for _, k := range s.keys {
		b := &keys
		if isTables(k.field.Type()) || isTable(k.field.Type()) {
			b = &tables
		}
		b.WriteString("\n" + comment(k.explained(s.Env(k))))
		for line := range strings.SplitSeq(k.asTOML(), "\n") {
			b.WriteString("#" + line + "\n")
		}
	}
	return keys.String() + tables.String()
}

// explained is a key's help, and where else it can be set.
func (k *Key) explained(variable string) string {
	help := k.Help
	if help == "" {
		help = k.Name
	}
	if k.FileOnly {
		return help + ". For this file alone."
	}
	return fmt.Sprintf("%s. Flag --%s, variable %s.", help, k.Flag(), variable)
}

// comment wraps a text into lines that begin with "# ".
func comment(text string) string {
	var b strings.Builder
	line := "#"
	for word := range strings.FieldsSeq(text) {
		if len(line) > 1 && len(line)+1+len(word) > exampleWidth {
			b.WriteString(line + "\n")
			line = "#"
		}
		line += " " + word
	}
	return b.String() + line + "\n"
}

// isTables reports whether values of this type are written as [[tables]].
func isTables(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && !scalar(t.Elem(), false)
}

// isTable reports whether values of this type are written as one [table].
func isTable(t reflect.Type) bool { return t.Kind() == reflect.Struct && !scalar(t, false) }

// tableTOML writes a table with the help of each of its fields.
func tableTOML(name string, v reflect.Value) string {
	lines := []string{"[" + name + "]"}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		if help := field.Tag.Get("help"); help != "" {
			lines = append(lines, strings.Split(strings.TrimSuffix(comment(key+": "+help+"."), "\n"), "\n")...)
		}
		lines = append(lines, key+" = "+valueTOML(v.Field(i)))
	}
	return strings.Join(lines, "\n")
}

// asTOML writes a key and its value as in a file.
func (k *Key) asTOML() string {
	if isTable(k.field.Type()) {
		return tableTOML(k.Name, k.field)
	}
	if !isTables(k.field.Type()) {
		return k.Name + " = " + valueTOML(k.field)
	}
	var lines []string
	for i := range k.field.Len() {
		lines = append(lines, "[["+k.Name+"]]")
		lines = append(lines, fieldsTOML(k.field.Index(i))...)
	}
	return strings.Join(lines, "\n")
}

// fieldsTOML writes the fields of a table, those of embedded structs among them.
func fieldsTOML(v reflect.Value) []string {
	var lines []string
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("toml"), ",")
		switch {
		case field.Anonymous && name == "":
			lines = append(lines, fieldsTOML(v.Field(i))...)
		case name != "" && name != "-":
			lines = append(lines, name+" = "+valueTOML(v.Field(i)))
		}
	}
	return lines
}

// valueTOML writes a value that is no table.
func valueTOML(v reflect.Value) string {
	switch value := v.Interface().(type) {
	case time.Duration:
		return strconv.Quote(value.String())
	case encoding.TextMarshaler:
		return strconv.Quote(format(v))
	}
	switch v.Kind() {
	case reflect.String:
		return strconv.Quote(v.String())
	case reflect.Float64:
		text := fmt.Sprint(v.Float())
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		return text
	case reflect.Slice:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = valueTOML(v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case reflect.Map:
		var parts []string
		for key, value := range v.Seq2() {
			parts = append(parts, strconv.Quote(key.String())+" = "+strconv.Quote(value.String()))
		}
		slices.Sort(parts)
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return fmt.Sprint(v.Interface())
	}
}
