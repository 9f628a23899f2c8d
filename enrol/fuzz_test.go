package enrol

import (
	"strings"
	"testing"
)

// Join tokens are typed and pasted by people. One text stands for one token.
func FuzzParseToken(f *testing.F) {
	token := newToken([32]byte{1, 2, 3})
	f.Add(token.Text())
	f.Add(" " + token.Text() + "\n")
	f.Add(token.Text()[:40])
	f.Add(token.Text()[:40] + "\n" + token.Text()[40:])
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseToken(text)
		if err != nil {
			if got != (Token{}) || strings.Contains(err.Error(), text) && len(text) > len(prefix) {
				t.Errorf("refused with %q and %+v", err, got)
			}
			return
		}
		if got.Text() != strings.TrimSpace(text) {
			t.Errorf("%q stands for the token %q", text, got.Text())
		}
	})
}
