package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError is a command that was called wrongly.
type usageError struct {
	command string
	message string
}

// Error returns what was wrong and where help is.
func (e *usageError) Error() string {
	return fmt.Sprintf("%s; see: %s --help", e.message, e.command)
}

func usage(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), message: fmt.Sprintf(format, args...)}
}

// errReported ends a command with exit code 1 when all has been said already.
var errReported = errors.New("reported")

// report says what went wrong, one sentence on stderr and a line for each host
// that refused, and returns the exit code.
func (a *app) report(err error) int {
	if err == nil {
		return exitOK
	}
	if !errors.Is(err, errReported) {
		a.say(err)
	}
	if _, ok := errors.AsType[*usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}

// say writes an error for people.
func (a *app) say(err error) {
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(a.errOut, "grapevine: interrupted")
		return
	}
	fmt.Fprintf(a.errOut, "grapevine: %s\n", sentence(err))
	refused, ok := errors.AsType[*fleet.Error](err)
	if !ok {
		return
	}
	for _, verdict := range refused.Verdicts {
		if !verdict.Fits {
			fmt.Fprintf(a.errOut, "  %s\n", sentence(errors.New(verdict.String())))
		}
	}
	if len(refused.Verdicts) == 0 && refused.Host != nil && len(refused.Refusals) > 0 {
		one := fleet.Verdict{HostName: refused.Host.Name, Refusals: refused.Refusals}
		fmt.Fprintf(a.errOut, "  %s\n", visible(one.String()))
	}
	for _, candidate := range refused.Candidates {
		fmt.Fprintf(a.errOut, "  %s\n", visible(candidate))
	}
}

// sentence puts an error on one line.
func sentence(err error) string {
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return visible(strings.Join(lines, "; "))
}

// note tells people something that is no part of the answer.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.errOut, "grapevine: %s\n", visible(fmt.Sprintf(format, args...)))
}

// noteCoverage says so when an answer rests on a part of the fleet only.
func (a *app) noteCoverage(c fleet.Coverage) {
	if c.Heard < c.Known {
		a.note("%d of %s can be heard; what the others had is shown as last heard", c.Heard, plural(c.Known, "host"))
	}
}
