package cli

import (
	"errors"
	"fmt"
	"io"
)

// each does something to every argument, also after one has failed. With one
// argument its error is the command's; with more each error is said at once.
func (a *app) each(args []string, do func(string) error) error {
	if len(args) == 1 {
		return do(args[0])
	}
	var failed error
	for _, arg := range args {
		if err := do(arg); err != nil {
			a.say(fmt.Errorf("%s: %w", arg, err))
			failed = errors.Join(failed, errReported)
		}
	}
	return failed
}

// line is a sentence shown where no table is worth it, and lines several: none of
// them has a line's end in it, which a name might bring along.
type (
	line  string
	lines []string
)

func (l line) write(w io.Writer, colour bool) error { return lines{string(l)}.write(w, colour) }

func (l lines) write(w io.Writer, _ bool) error {
	for _, text := range l {
		if _, err := fmt.Fprintln(w, visible(text)); err != nil {
			return err
		}
	}
	return nil
}
