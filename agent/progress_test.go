package agent_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"grapevine/agent"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// teller is a hypervisor that is slow at building, and says how far it is, or
// does not.
type teller struct {
	*simulated.Driver
	says  chan fleet.Progress // while it builds
	built chan struct{}       // closed when it may end
}

func (d *teller) Build(ctx context.Context, spec drivers.Spec) error {
	for {
		select {
		case now := <-d.says:
			drivers.Tell(ctx, now)
		case <-d.built:
			return d.Driver.Build(ctx, spec)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestOperationShowsWhatTheHypervisorSaysAndNothingElse(t *testing.T) {
	s := newSite(t, nil)
	d := &teller{says: make(chan fleet.Progress), built: make(chan struct{})}
	s.wrap = func(inner *simulated.Driver) drivers.Driver { d.Driver = inner; return d }
	s.restart()
	accepted := s.claim(proposal(1, 256))
	shown := func(want *fleet.Progress) {
		t.Helper()
		s.until("the operation shows it", func() bool {
			op, err := s.Operation(t.Context(), accepted.Operation)
			if err != nil {
				t.Fatal(err)
			}
			return (op.Progress == nil) == (want == nil) && (want == nil || *op.Progress == *want)
		})
	}
	d.says <- fleet.Progress{} // it builds, and has nothing to say
	shown(nil)
	for _, now := range []fleet.Progress{{Percent: 40}, {DoneBytes: 1, TotalBytes: 2}} {
		d.says <- now
		shown(&now)
	}
	d.says <- fleet.Progress{}
	shown(nil)
	close(d.built)
	s.running(accepted.Instance.ID)
	if op := s.outcome(accepted.Operation); op.Progress != nil {
		t.Errorf("one that has ended shows %+v", op.Progress)
	}
}

// keeper is a hypervisor that is slow at storing an image.
type keeper struct {
	*simulated.Driver
	half chan struct{} // closed when half of it was read
	all  chan struct{} // closed when it may go on
}

func (d *keeper) ImportImage(ctx context.Context, im fleet.Image, content io.Reader) error {
	if im.Name != "ranged" {
		return d.Driver.ImportImage(ctx, im, content)
	}
	var half bytes.Buffer
	if _, err := io.CopyN(&half, content, im.Bytes/2); err != nil {
		return err
	}
	close(d.half)
	<-d.all
	return d.Driver.ImportImage(ctx, im, io.MultiReader(&half, content))
}

func TestWhatIsStoredIsSeenOnEveryHypervisor(t *testing.T) {
	want, content := ranged()
	url, _, _ := webServer(t, content, 0)
	s := newSite(t, func(c *agent.Config) { c.ImageURLs = []string{url} })
	d := &keeper{half: make(chan struct{}), all: make(chan struct{})}
	s.wrap = func(inner *simulated.Driver) drivers.Driver { d.Driver = inner; return d }
	s.restart()
	begun, err := s.ImportURL(t.Context(), fleet.HostID{}, fleet.ImportURL{Name: "ranged", URL: url + "/disk.img"})
	if err != nil {
		t.Fatal(err)
	}
	<-d.half
	op, err := s.Operation(t.Context(), begun.ID)
	if err != nil {
		t.Fatal(err)
	}
	if op.Step != "storing" || op.Progress == nil || op.Progress.TotalBytes != want.Bytes || op.Progress.DoneBytes < want.Bytes/2-1<<20 || op.Progress.DoneBytes > want.Bytes/2+1<<20 {
		t.Errorf("half-way it shows step %q and %+v", op.Step, op.Progress)
	}
	close(d.all)
	if op := s.outcome(begun.ID); op.State != fleet.OperationSucceeded {
		t.Errorf("it ended as %+v", op)
	}
}
