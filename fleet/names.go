package fleet

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// CheckName judges a name that a person gave to an instance, an image, a
// project or a zone: 1 to MaxNameBytes bytes of UTF-8 without control
// characters, no blank at either end.
func CheckName(what, name string) error {
	bad := func(why string) error {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%s %.80q %s; use 1 to %d bytes of printable UTF-8", what, name, why, MaxNameBytes)}
	}
	switch {
	case name == "":
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%s is empty; use 1 to %d bytes of printable UTF-8", what, MaxNameBytes)}
	case len(name) > MaxNameBytes:
		return bad(fmt.Sprintf("is %d bytes long", len(name)))
	case !utf8.ValidString(name):
		return bad("is not valid UTF-8")
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return bad("has a control character")
	case strings.TrimSpace(name) != name:
		return bad("begins or ends with a blank")
	}
	return nil
}

// CheckLabels judges the labels of an instance or a host, or those that are asked
// of a host.
func CheckLabels(labels map[string]string) error {
	if len(labels) > MaxLabels {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%d labels; at most %d are allowed", len(labels), MaxLabels)}
	}
	size := 0
	for key, value := range labels {
		size += len(key) + len(value)
		if err := CheckName("label", key); err != nil {
			return err
		}
		if value == "" {
			continue
		}
		if err := CheckName(fmt.Sprintf("value of label %q", key), value); err != nil {
			return err
		}
	}
	if size > MaxLabelBytes {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("labels of %d bytes in all; at most %d are allowed", size, MaxLabelBytes)}
	}
	return nil
}

// CheckTraits judges the traits that are asked of a host.
func CheckTraits(traits []string) error {
	if len(traits) > MaxTraitsAsked {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("%d traits; at most %d can be asked for", len(traits), MaxTraitsAsked)}
	}
	for _, trait := range traits {
		if err := CheckName("trait", trait); err != nil {
			return err
		}
	}
	return nil
}
