package agent_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"grapevine/agent"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

func TestClaimIsBuiltAndStarted(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	accepted, err := s.Claim(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Task != fleet.TaskBuilding || row.Power == fleet.PowerStopped || accepted.Version.IsZero() {
		t.Errorf("accepted with task %q, power %q, version %q; want it building under a version, and not called stopped", row.Task, row.Power, accepted.Version)
	}
	row := s.running(p.ID)
	if row.Name != "web" || row.Labels["tier"] != "front" || row.Generation != 1 || row.Ownership != fleet.Managed || row.MemoryMiB != 512 {
		t.Errorf("got %+v, want what was asked", row)
	}
	op, err := s.Operation(t.Context(), accepted.Operation)
	if err != nil || op.State != fleet.OperationSucceeded || op.EndedAt == nil {
		t.Errorf("got operation %+v, %v; want it succeeded", op, err)
	}
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 512 {
		t.Errorf("got %d MiB allocated, want 512, once", got)
	}
}

func TestSameProposalAtOnceIsOneMachine(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	var wg sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Claim(t.Context(), p) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatalf("one of the same proposals got another answer: %v", err)
	}
	s.running(p.ID)
	if n := len(s.hypervisor.Machines()); n != 1 {
		t.Errorf("got %d machines, want 1", n)
	}
	other := p
	other.RequestHash = strings.Repeat("f", 64)
	_, err := s.Claim(t.Context(), other)
	code(t, err, fleet.CodeRefused)
}

func TestRefusalNamesWhatWasShortAndIsKeptAfterARestart(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 8192)
	_, err := s.Claim(t.Context(), p)
	var refused *fleet.Error
	if !errors.As(err, &refused) || refused.Code != fleet.CodeRefused {
		t.Fatalf("got %v, want it refused", err)
	}
	if len(refused.Refusals) != 1 || refused.Refusals[0].Resource != "memory_mib" || refused.Refusals[0].Free != 4096 {
		t.Errorf("got refusals %+v, want 4096 MiB free", refused.Refusals)
	}
	if refused.Host == nil || refused.Host.Capacity.MemoryMiB.Free != 4096 {
		t.Errorf("got host %+v, want the fresh row", refused.Host)
	}
	s.cfg.OvercommitMemory = 4 // there is room after the restart
	s.restart()
	_, err = s.Claim(t.Context(), p)
	code(t, err, fleet.CodeRefused)
	p.Attempt = 2
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Errorf("the next attempt was refused too: %v", err)
	}
}

func TestClaimsAtOnceNeverOverfillTheHost(t *testing.T) {
	s := newSite(t, func(c *agent.Config) { c.OvercommitVCPUs = 100 })
	var wg sync.WaitGroup
	errs := make([]error, 20) // 4096 MiB hold four of 1024
	for i := range errs {
		wg.Go(func() { _, errs[i] = s.Claim(t.Context(), proposal(byte(i+1), 1024)) })
	}
	wg.Wait()
	admitted := 0
	for _, err := range errs {
		if err == nil {
			admitted++
		} else {
			code(t, err, fleet.CodeRefused)
		}
	}
	if admitted != 4 {
		t.Errorf("%d were admitted, want 4", admitted)
	}
	if free := s.host().Capacity.MemoryMiB.Free; free != 0 {
		t.Errorf("got %d MiB free, want 0", free)
	}
}

func TestBuildIsTakenUpAfterARestartAtAnyStep(t *testing.T) {
	for _, c := range []struct {
		name string
		step int
	}{
		{"before the disk", simulated.BeforeDisk},
		{"before the disk is filled", simulated.BeforeFill},
		{"before the machine is defined", simulated.BeforeDefine},
		{"after the machine is defined", simulated.AfterDefine},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, nil)
			gate := s.hypervisor.HoldNextBuild(c.step)
			p := proposal(1, 512)
			if _, err := s.Claim(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			<-gate.Reached()
			s.restart()
			gate.Release()
			s.running(p.ID)
			if n := len(s.hypervisor.Machines()); n != 1 {
				t.Errorf("got %d machines, want 1", n)
			}
			if got := s.host().Capacity.MemoryMiB.Allocated; got != 512 {
				t.Errorf("got %d MiB allocated, want 512", got)
			}
		})
	}
}

func TestFailedBuildShowsItsFaultAndHoldsNothing(t *testing.T) {
	s := newSite(t, nil)
	s.hypervisor.FailNextBuild(simulated.BeforeDefine)
	p := proposal(1, 4096)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.until("the build has failed", func() bool { row := s.row(p.ID); return row != nil && row.Fault != "" })
	for _, restarted := range []bool{false, true} {
		if restarted {
			s.restart()
		}
		row := s.row(p.ID)
		if row == nil || row.Task != fleet.TaskNone || !strings.Contains(row.Fault, "simulated failure") {
			t.Fatalf("restarted %v: got %+v, want the fault in the row", restarted, row)
		}
		if free := s.host().Capacity.MemoryMiB.Free; free != 4096 {
			t.Errorf("restarted %v: got %d MiB free, want all of it", restarted, free)
		}
	}
	if n := len(s.hypervisor.Disks()); n != 0 {
		t.Errorf("%d disks were left behind", n)
	}
	if _, err := s.DeleteInstance(t.Context(), p.ID, patience); err != nil {
		t.Fatal(err)
	}
	if row := s.row(p.ID); row != nil {
		t.Errorf("still shown after its delete: %+v", row)
	}
}

func TestDeletedInstanceIsNotMadeAgainByALateRetry(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	if _, err := s.DeleteInstance(t.Context(), p.ID, patience); err != nil {
		t.Fatal(err)
	}
	for _, restarted := range []bool{false, true} {
		if restarted {
			s.restart()
		}
		_, err := s.Claim(t.Context(), p)
		code(t, err, fleet.CodeGone)
	}
	if n := len(s.hypervisor.Machines()); n != 0 {
		t.Errorf("got %d machines, want none", n)
	}
}

// The crash comes after the machine is gone and before that is written: only
// the operation still knows which request the instance came from.
func TestDeleteTakenUpAfterARestartRemembersTheRequest(t *testing.T) {
	s := newSite(t, nil)
	deleted := make(chan struct{})
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &lateDelete{d, deleted} }
	s.restart()
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	accepted, err := s.DeleteInstance(t.Context(), p.ID, 0)
	if err != nil {
		t.Fatal(err)
	}
	<-deleted
	s.wrap = nil
	s.restart()
	s.until("the delete is taken up", func() bool {
		op, err := s.Operation(t.Context(), accepted.Operation)
		return err == nil && op.State == fleet.OperationSucceeded && s.row(p.ID) == nil
	})
	_, err = s.Claim(t.Context(), p)
	code(t, err, fleet.CodeGone)
	if n := len(s.hypervisor.Machines()); n != 0 {
		t.Errorf("got %d machines, want none", n)
	}
}

// lateDelete deletes, and does not come back to say so.
type lateDelete struct {
	*simulated.Driver
	deleted chan struct{}
}

func (d *lateDelete) Delete(ctx context.Context, id fleet.InstanceID) error {
	if err := d.Driver.Delete(ctx, id); err != nil {
		return err
	}
	close(d.deleted)
	<-ctx.Done()
	return ctx.Err()
}

// What is built must not look gone because it could not be looked at.
func TestBuiltInstanceStaysWhenTheHypervisorFallsSilentAtItsStart(t *testing.T) {
	s := newSite(t, nil)
	silent := &silentAfterStart{looks: make(chan struct{}, 1)}
	s.wrap = func(d *simulated.Driver) drivers.Driver { silent.Driver = d; return silent }
	s.restart()
	p := proposal(1, 512)
	accepted, err := s.Claim(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for range 4 { // more than events alone make it look
		<-silent.looks
	}
	if row := s.row(p.ID); row == nil || row.Task != fleet.TaskBuilding {
		t.Errorf("got %+v, want it shown as being built", row)
	}
	if op, err := s.Operation(t.Context(), accepted.Operation); err != nil || op.State != fleet.OperationRunning {
		t.Errorf("got operation %+v, %v; want it running", op, err)
	}
	if got := s.host().Capacity.MemoryMiB.Allocated; got != 512 {
		t.Errorf("got %d MiB allocated, want 512", got)
	}
	silent.back.Store(true)
	s.running(p.ID)
}

// silentAfterStart does not answer from the first start on, until it is back.
type silentAfterStart struct {
	*simulated.Driver
	started, back atomic.Bool
	looks         chan struct{}
}

func (d *silentAfterStart) Act(ctx context.Context, id fleet.InstanceID, action fleet.InstanceAction, opts drivers.ActOptions) error {
	d.started.Store(true)
	return d.Driver.Act(ctx, id, action, opts)
}

func (d *silentAfterStart) silent() bool { return d.started.Load() && !d.back.Load() }

func (d *silentAfterStart) List(ctx context.Context) ([]drivers.Machine, error) {
	if d.silent() {
		return nil, drivers.ErrUnavailable
	}
	return d.Driver.List(ctx)
}

func (d *silentAfterStart) Inspect(ctx context.Context, id fleet.InstanceID) (drivers.Machine, error) {
	if d.silent() {
		select {
		case d.looks <- struct{}{}:
		default:
		}
		return drivers.Machine{}, drivers.ErrUnavailable
	}
	return d.Driver.Inspect(ctx, id)
}

func TestRefusalOfADuplicateIsForGoodToo(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.hypervisor.Define(simulated.Foreign{ID: p.ID, Name: "legacy", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}}); err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(p.ID) != nil })
	_, err := s.Claim(t.Context(), p)
	code(t, err, fleet.CodeRefused)
	if err := s.hypervisor.Remove(p.ID); err != nil {
		t.Fatal(err)
	}
	s.until("it is gone", func() bool { return s.row(p.ID) == nil })
	_, err = s.Claim(t.Context(), p)
	code(t, err, fleet.CodeRefused)
	p.Attempt = 2
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Errorf("the next attempt was refused too: %v", err)
	}
}
