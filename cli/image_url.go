package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// importURL lets hosts download an image, one after the other.
func (a *app) importURL(ctx context.Context, s *source) error {
	node, err := a.node(ctx)
	if err != nil {
		return err
	}
	targets, err := s.targets(ctx, node)
	if err != nil {
		return err
	}
	ops := []fleet.Operation{}
	var failed error
	for _, target := range targets {
		op, err := node.ImportURL(ctx, target.ID, fleet.ImportURL{Name: s.name, URL: s.url, SHA256: s.sha256})
		if err == nil && s.wait > 0 {
			op, err = a.follow(ctx, node, op, "download", s.wait)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && len(targets) == 1 {
			return err
		}
		if err != nil {
			a.say(fmt.Errorf("host %s: %w", target.Name, err))
			failed = errReported
			continue
		}
		ops = append(ops, op)
		if len(targets) > 1 && op.State == fleet.OperationSucceeded && isOther(s.name, op.ImageName) {
			a.note("host %s: %s", target.Name, imaged("imported", s.name, op.ImageName, op.Image))
		}
	}
	if failed != nil {
		return failed
	}
	if len(ops) == 1 {
		return a.print(ops[0], func() written { return line(s.said(&ops[0])) })
	}
	return a.print(ops, func() written {
		t := &table{columns: []column{{title: "OPERATION"}, {title: "STATE"}, {title: "IMAGE", sparse: true}}}
		for _, op := range ops {
			t.add(text(op.ID), text(string(op.State)), text(op.Image))
		}
		return t
	})
}

// said puts what became of a download into a line.
func (s *source) said(op *fleet.Operation) string {
	if op.State == fleet.OperationSucceeded {
		return imaged("imported", s.name, op.ImageName, op.Image)
	}
	return fmt.Sprintf("downloading %s (operation %s)", s.name, op.ID)
}

// imaged says what became of content that was to be an image of the name asked,
// and is one of the name has.
func imaged(done, asked, has, id string) string {
	if !isOther(asked, has) {
		return fmt.Sprintf("%s %s (%s)", done, asked, id)
	}
	return fmt.Sprintf("%s %s (%s): its content was there before under that name, which it keeps; it is not called %s", done, has, id, asked)
}

// isOther reports whether an image has not got the name that was asked for; a
// node that does not say has given it that.
func isOther(asked, has string) bool { return has != "" && has != asked }

// askEvery is how often a host is asked how far it is.
const askEvery = 300 * time.Millisecond

// follow waits for the end of an operation that transfers something, and draws
// its progress, under its steps, which are told, where it is called nothing.
func (a *app) follow(ctx context.Context, node *client.Client, op fleet.Operation, what string, wait time.Duration) (fleet.Operation, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, errNotYet)
	defer cancel()
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	var bars bars
	defer bars.end()
	for op.State == fleet.OperationRunning {
		select {
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), errNotYet) {
				return op, fmt.Errorf("not done within %s; it goes on as operation %s", wait, op.ID)
			}
			return op, ctx.Err()
		case <-tick.C:
		}
		now, err := node.Operation(ctx, op.ID)
		if err != nil && ctx.Err() == nil {
			return op, err
		}
		if err != nil {
			continue
		}
		step := op.Step
		if op = now; what == "" && op.Step != step && op.State == fleet.OperationRunning {
			a.note("%s", op.Step)
		}
		if op.Progress == nil {
			continue
		}
		bars.show(a, cmp.Or(what, op.Step), op.Progress)
	}
	if op.State == fleet.OperationFailed {
		return op, errors.New(op.Fault)
	}
	return op, nil
}

var errNotYet = errors.New("not yet")
