package agent

import (
	"context"
	"errors"
	"io"

	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/view"
)

// local is the agent as its own view sees it: what it keeps of its host beside
// the rows.
type local Agent

var _ view.Local = (*local)(nil)

// Operation returns an operation of this host.
func (l *local) Operation(_ context.Context, id string) (fleet.Operation, error) {
	_, n, err := fleet.ParseOperationID(id)
	if err != nil {
		return fleet.Operation{}, errorf(fleet.CodeInvalid, "%v", err)
	}
	op, ok, err := l.journal.Operation(n)
	switch {
	case err != nil:
		return fleet.Operation{}, errorf(fleet.CodeInternal, "read operation %s: %v", id, err)
	case !ok:
		return fleet.Operation{}, errorf(fleet.CodeNotFound, "host %s has no operation %s; ended ones are kept for a day", l.cfg.Name, id)
	}
	l.state.untilFree(&op.Operation)
	op.Progress = (*Agent)(l).progress(&op.Operation)
	return op.Operation, nil
}

// untilFree shows an operation as under way that the journal has the end of,
// while its instance is not free yet: who has seen it end may ask for the next.
func (s *state) untilFree(op *fleet.Operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if busy := s.busy[op.Instance]; busy != nil && busy.ID == op.ID {
		op.State, op.EndedAt, op.Fault = fleet.OperationRunning, nil, ""
	}
}

// InstanceLog returns what a machine of this host printed.
func (l *local) InstanceLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	console, ok := l.driver.(drivers.ConsoleLogger)
	if !ok {
		return nil, errorf(fleet.CodeUnsupported, "host %s records no console", l.cfg.Name)
	}
	done := func() {}
	if part.Follow {
		var err error
		if ctx, done, err = l.consoles.Follow(ctx); err != nil {
			return nil, err
		}
	}
	content, err := console.ConsoleLog(ctx, id, part)
	if err != nil {
		done()
	}
	if errors.Is(err, drivers.ErrNotFound) {
		return nil, errorf(fleet.CodeNotFound, "host %s has no console log of instance %s", l.cfg.Name, id)
	}
	if err != nil {
		return nil, driverError("read console log", err)
	}
	return &openLog{content, done}, nil
}

// openLog is a log that is being read.
type openLog struct {
	io.ReadCloser
	done func()
}

// Close implements io.Closer.
func (l *openLog) Close() error {
	defer l.done()
	return l.ReadCloser.Close()
}
