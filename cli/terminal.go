package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/term"
)

// terminal is the one that the command runs in, if it runs in one.
type terminal struct {
	in     io.Reader
	errOut io.Writer
	once   sync.Once
	back   func() // gives the terminal back as it was
	isRaw  bool
}

// raw hands every key to the guest instead of to this program, until release,
// which must be called. The context returned ends also with the signals that
// would end the program and leave the terminal raw.
func (t *terminal) raw(ctx context.Context) (_ context.Context, release func(), err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	t.back = stop
	file, ok := t.in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return ctx, t.release, nil
	}
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("make the terminal raw: %w", err)
	}
	t.isRaw = true
	t.back = func() {
		_ = term.Restore(int(file.Fd()), before) // one that has gone needs no restoring
		fmt.Fprintln(t.errOut)
		stop()
	}
	return ctx, t.release, nil
}

// begin puts what is printed next at the beginning of its line, where a raw
// terminal does not do so by itself.
func (t *terminal) begin() {
	if t.isRaw {
		fmt.Fprint(t.errOut, "\r")
	}
}

func (t *terminal) release() { t.once.Do(t.back) }

// rescue is deferred where a panic would end the program with the terminal raw.
func (t *terminal) rescue() {
	if fault := recover(); fault != nil {
		t.release()
		panic(fault)
	}
}
