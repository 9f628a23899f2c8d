package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"gopkg.in/yaml.v3"
)

// format is what -o says.
type format string

const (
	asTable format = "table"
	asJSON  format = "json"
	asYAML  format = "yaml"
)

// String, Set and Type make format a flag value.
func (f *format) String() string { return string(*f) }

// Set refuses a format that does not exist.
func (f *format) Set(s string) error {
	switch format(s) {
	case asTable, asJSON, asYAML:
		*f = format(s)
		return nil
	default:
		return fmt.Errorf("%.40q is not one of table, json, yaml", s)
	}
}

// Type names the kind of value, for help texts.
func (f *format) Type() string { return "format" }

// written is what can be shown to eyes: a table or a sheet.
type written interface {
	write(w io.Writer, colour bool) error
}

// print shows value as JSON or YAML, or what shown makes of it as a table.
func (a *app) print(value any, shown func() written) error {
	switch a.format {
	case asJSON:
		return writeJSON(a.out, value)
	case asYAML:
		return writeYAML(a.out, value)
	default:
		return shown().write(a.out, a.colour)
	}
}

// writeJSONLine writes a document on a line of its own, for streams.
func writeJSONLine(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// writeYAML goes through JSON, so that the fields and their order are the
// API's.
func writeYAML(w io.Writer, value any) error {
	var buffer bytes.Buffer
	if err := writeJSON(&buffer, value); err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(buffer.Bytes(), &document); err != nil {
		return fmt.Errorf("turn JSON into YAML: %w", err)
	}
	block(&document)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return fmt.Errorf("write YAML: %w", err)
	}
	return encoder.Close()
}

// block drops JSON's brackets and quotes where YAML does without; strings that
// would read as something else keep their quotes.
func block(n *yaml.Node) {
	if len(n.Content) > 0 {
		n.Style &^= yaml.FlowStyle
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}
