package agent_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/agent/fetch"
	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// wrote makes an instance that was stopped after its guest wrote to its disk.
func (s *site) wrote(text string) fleet.InstanceID {
	s.t.Helper()
	id := s.built()
	if _, err := s.ActInstance(s.t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		s.t.Fatal(err)
	}
	if err := s.hypervisor.WriteDisk(id, "disk-0", 512, []byte(text)); err != nil {
		s.t.Fatal(err)
	}
	return id
}

// endOf waits for the end of an operation.
func (s *site) endOf(operation string) fleet.Operation {
	s.t.Helper()
	var op fleet.Operation
	s.until("operation ends", func() bool {
		var err error
		if op, err = s.Operation(s.t.Context(), operation); err != nil {
			s.t.Fatal(err)
		}
		return op.State != fleet.OperationRunning
	})
	return op
}

// captured makes an image of an instance and returns its content.
func (s *site) captured(id fleet.InstanceID, name string) (fleet.Image, []byte) {
	s.t.Helper()
	accepted, err := s.CaptureInstance(s.t.Context(), id, fleet.CaptureInstance{ImageName: name}, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	op := s.endOf(accepted.Operation)
	if op.State != fleet.OperationSucceeded {
		s.t.Fatalf("the operation is %+v", op)
	}
	im, err := s.Image(s.t.Context(), op.Image)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.ReadImage(s.t.Context(), im.ID, fleet.RoleDisk, 0, im.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	content, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		s.t.Fatal(err)
	}
	return im, content
}

// wantNothingSpooled checks that nothing is left in the spool.
func (s *site) wantNothingSpooled() {
	s.t.Helper()
	left, err := filepath.Glob(filepath.Join(s.cfg.DataDir, "images", "*"))
	if err != nil || len(left) > 0 {
		s.t.Errorf("left in the spool: %v, %v", left, err)
	}
}

func TestCapturedImageIsTheDiskAsItIs(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("what the guest wrote")
	im, content := s.captured(id, "golden")
	_, base := tiny()
	if !bytes.HasPrefix(content, base) || !strings.HasSuffix(string(content), "what the guest wrote") || im.Name != "golden" {
		t.Errorf("image %+v holds %q", im, content)
	}
	if again, _ := s.captured(id, "golden"); again.ID != im.ID {
		t.Errorf("captured again it is image %s, want %s", again.ID, im.ID)
	}
	s.wantNothingSpooled()
	p := proposal(2, 512)
	p.Image = im.ID
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
}

func TestCaptureNeedsAStoppedInstanceWithADisk(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	_, err := s.CaptureInstance(t.Context(), id, fleet.CaptureInstance{ImageName: "golden"}, 0)
	code(t, err, fleet.CodeConflict)
	if err == nil || !strings.Contains(err.Error(), "grapevine instance stop "+id.String()) {
		t.Errorf("the error does not say what to do: %v", err)
	}
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "by-hand", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64, DiskGiB: 1}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is listed", func() bool { return s.row(foreign) != nil })
	_, err = s.CaptureInstance(t.Context(), foreign, fleet.CaptureInstance{ImageName: "golden"}, 0)
	code(t, err, fleet.CodeNotManaged)
	_, err = s.CaptureInstance(t.Context(), id, fleet.CaptureInstance{}, 0)
	code(t, err, fleet.CodeInvalid)
}

// broken is a hypervisor whose disks cannot be read to their end.
type broken struct {
	*simulated.Driver
	why error
}

func (b *broken) ReadDisk(ctx context.Context, id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	content, err := b.Driver.ReadDisk(ctx, id, disk)
	if err == nil {
		content.ReadCloser = &cracked{content.ReadCloser, b.why}
	}
	return content, err
}

type cracked struct {
	io.ReadCloser
	why error
}

func (t *cracked) Read(p []byte) (int, error) {
	if n, err := t.ReadCloser.Read(p[:min(len(p), 1)]); err != nil {
		return n, t.why
	}
	return 1, nil
}

func TestFailedCaptureLeavesNothing(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	for name, why := range map[string]error{"broken": errors.New("the disk is broken"), "full": fetch.ErrOutOfSpace} {
		t.Run(name, func(t *testing.T) {
			s.wrap = func(d *simulated.Driver) drivers.Driver { return &broken{d, why} }
			s.restart()
			accepted, err := s.CaptureInstance(t.Context(), id, fleet.CaptureInstance{ImageName: "golden"}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if op := s.endOf(accepted.Operation); op.State != fleet.OperationFailed || !strings.Contains(op.Fault, why.Error()) || op.Image != "" {
				t.Errorf("the operation is %+v", op)
			}
			s.until("the row says so", func() bool {
				row := s.row(id)
				return row.Task == fleet.TaskNone && strings.Contains(row.Fault, why.Error())
			})
			s.wantNothingSpooled()
			if images, err := s.Images(t.Context()); err != nil || len(images.Items) != 1 {
				t.Errorf("images %+v, %v; want tiny alone", images, err)
			}
		})
	}
}

// stuck is a hypervisor that never comes to the end of a disk.
type stuck struct{ *simulated.Driver }

func (s *stuck) ReadDisk(ctx context.Context, id fleet.InstanceID, disk string) (*drivers.DiskContent, error) {
	content, err := s.Driver.ReadDisk(ctx, id, disk)
	if err == nil {
		content.ReadCloser = &silent{content.ReadCloser, ctx}
	}
	return content, err
}

type silent struct {
	io.ReadCloser
	ctx context.Context
}

func (s *silent) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestCaptureGoesOnAfterARestart(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &stuck{d} }
	s.restart()
	accepted, err := s.CaptureInstance(t.Context(), id, fleet.CaptureInstance{ImageName: "golden"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.until("it is under way", func() bool {
		_, err := os.Stat(filepath.Join(s.cfg.DataDir, "images", "capture-"+id.String()))
		return err == nil
	})
	_, err = s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{})
	code(t, err, fleet.CodeBusy)
	s.wrap = nil
	s.restart()
	if op := s.endOf(accepted.Operation); op.State != fleet.OperationSucceeded || op.Image == "" {
		t.Errorf("the operation is %+v", op)
	}
	s.wantNothingSpooled()
}

func TestCaptureOnAHostThatReadsNoDisksIsRefused(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &unable{d} }
	s.restart()
	_, err := s.CaptureInstance(t.Context(), id, fleet.CaptureInstance{ImageName: "golden"}, 0)
	code(t, err, fleet.CodeUnsupported)
}

// unable is a hypervisor that does not say that it reads disks.
type unable struct{ *simulated.Driver }

func (u *unable) Describe(ctx context.Context) (drivers.Description, error) {
	d, err := u.Driver.Describe(ctx)
	d.Features = []drivers.Feature{drivers.FeatureBootDisk}
	return d, err
}
