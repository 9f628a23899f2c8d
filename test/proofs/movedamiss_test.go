package proofs

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

// The points of a move at which its tests step in: the destination has the machine
// and nothing is given yet; and the source has just written that it gives it, when
// nobody has heard so.
var (
	builtThere = point{"after driver.Build", 1}
	justGiven  = point{"after journal.Step", 2}
	justTaken  = point{"after journal.Step", 3}
)

// eachMove runs a test on a move of its own.
func eachMove(t *testing.T, test func(m *moving)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newMoveWorld(t)
		m := &moving{World: w, from: w.Hosts[0], to: w.Hosts[3], key: "web"}
		if err := m.prepare(); err != nil {
			t.Fatal(err)
		}
		test(m)
	})
}

// departs has the move begin, and returns when a host stands at the point.
func (m *moving) departs(h *Host, at point) {
	m.t.Helper()
	h.points.watch(func(p point, _ int) bool { return p == at })
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	if _, err := m.Registries[0].Client.MigrateInstance(ctx, m.made.ID, fleet.Migrate{Host: m.to.Name}, client.KeyedOptions{Key: m.key}); err != nil {
		m.t.Fatal(err)
	}
	select {
	case <-h.points.reached:
	case <-time.After(time.Minute):
		m.t.Fatalf("%s does not come by %s", h.Name, at)
	}
	if given, taken := m.journalled(); given != (at != builtThere) || taken != (at == justTaken) {
		m.t.Fatalf("at %s it is given: %v, taken: %v", at, given, taken)
	}
}

// journalled tells what the two hosts have written.
func (m *moving) journalled() (given, taken bool) {
	m.t.Helper()
	for _, h := range []*Host{m.from, m.to} {
		j, err := m.memoryOf(h)
		if err != nil {
			m.t.Fatal(err)
		}
		kept, err := j.Operations()
		if err != nil {
			m.t.Fatal(err)
		}
		for _, op := range kept {
			if op.Moving != nil {
				given, taken = given || op.Moving.Given, taken || op.Moving.Taken
			}
		}
		_ = j.Close()
	}
	return given, taken
}

// declareDead waits until a host that was killed is unreachable, and gives it up.
func (m *moving) declareDead(h *Host) {
	m.t.Helper()
	m.Await(5*time.Minute, h.Name+" is declared dead", func() error {
		ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
		defer cancel()
		_, err := m.Registries[0].Client.DecideHost(ctx, h.ID, fleet.DeclareDead, fleet.Decide{Reason: "it burnt"})
		return err
	})
}

// comesToRest waits until a host shows the instance in a generation, with nothing
// under way, and it is found there by its key and, where all can be asked, has its
// name.
func (m *moving) comesToRest(at *Host, generation uint64) {
	m.t.Helper()
	m.Await(10*time.Minute, "it is at rest on "+at.Name, func() error {
		row, err := m.row(m.made.ID)
		switch {
		case err != nil:
			return err
		case row.Host != at.ID, row.Generation != generation, row.Task != fleet.TaskNone:
			return fmt.Errorf("its row is %+v", row)
		}
		again, err := m.create()
		if err != nil || again.Instance.ID != m.made.ID || again.Instance.Host != at.ID {
			return fmt.Errorf("the same create is answered with %+v, %w", again.Instance, err)
		}
		if !m.from.Ready() || !m.to.Ready() {
			return nil // one of them may keep the name, or the other key
		}
		return m.nameIsTaken()
	})
}

// starts has the instance started at its host, as it may be when it is at rest.
func (m *moving) starts(at *Host) {
	m.t.Helper()
	if _, err := at.Client.ActInstance(m.t.Context(), m.made.ID, fleet.Start, client.ActOptions{Wait: time.Minute}); err != nil {
		m.t.Errorf("start it at %s: %v", at.Name, err)
	}
}

func TestProof09MachineStartedByHandBeforeItIsGivenStays(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.to, builtThere)
		if err := m.from.Hypervisor.PowerOn(m.made.ID); err != nil {
			m.t.Fatal(err)
		}
		m.to.points.goOn()
		m.comesToRest(m.from, 1)
		if machine := m.from.machine(m.made.ID); machine.Power != fleet.PowerRunning {
			m.t.Errorf("it is %s", machine.Power)
		}
		m.Await(time.Minute, "nothing is left at the other host", func() error {
			if m.to.machine(m.made.ID) != nil {
				return fmt.Errorf("%s has it", m.to.Name)
			}
			return m.remembersNothing(m.to)
		})
	})
}

// Two run then, as a person wanted it, and it is plain which one counts.
func TestProof09MachineStartedByHandAfterItIsGivenIsSuperseded(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.from, justGiven)
		if err := m.from.Hypervisor.PowerOn(m.made.ID); err != nil {
			m.t.Fatal(err)
		}
		m.from.points.goOn()
		m.comesToRest(m.to, 2)
		m.superseded(m.from, m.to)
		if machine := m.from.machine(m.made.ID); machine == nil || machine.Power != fleet.PowerRunning {
			m.t.Errorf("what somebody had started is %+v", machine)
		}
		m.Await(time.Minute, "both are through with it", func() error {
			if err := m.idle(m.from); err != nil {
				return err
			}
			return m.idle(m.to)
		})
	})
}

// superseded waits until a host's copy is shown not to count.
func (m *moving) superseded(old, now *Host) {
	m.t.Helper()
	m.Await(10*time.Minute, "the copy on "+old.Name+" is superseded", func() error {
		ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
		defer cancel()
		rows, err := m.Registries[0].Client.AllInstances(ctx, fleet.InstanceQuery{Host: old.Name})
		if err == nil && (len(rows.Items) != 1 || rows.Items[0].SupersededBy != now.ID) {
			err = fmt.Errorf("it shows %+v", rows.Items)
		}
		return err
	})
}

// onlyOn waits until one host alone has a machine.
func (m *moving) onlyOn(at *Host) {
	m.t.Helper()
	m.Await(10*time.Minute, "the machine is on "+at.Name+" alone", func() error {
		if on := m.copies()[m.made.ID]; len(on) != 1 || on[0] != at {
			return fmt.Errorf("it is on %d hosts", len(on))
		}
		return nil
	})
}

func TestProof09DestinationGivenUpBeforeItHeardIsNoOwner(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.from, justGiven)
		m.to.Kill()
		m.from.points.goOn()
		m.declareDead(m.to)
		m.comesToRest(m.from, 3)
		m.starts(m.from)
		m.to.Start()
		m.onlyOn(m.from)
		m.comesToRest(m.from, 3)
	})
}

func TestProof09DestinationGivenUpAfterItTookOverIsSuperseded(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.to, justTaken)
		m.to.Kill()
		m.declareDead(m.to)
		m.comesToRest(m.from, 3)
		m.starts(m.from)
		m.to.Start()
		m.superseded(m.to, m.from)
		m.comesToRest(m.from, 3)
	})
}

func TestProof09SourceGivenUpAfterItGaveIsFollowed(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.from, justGiven)
		m.from.Kill()
		m.declareDead(m.from)
		m.comesToRest(m.to, 2)
		m.starts(m.to)
		m.from.Start()
		m.onlyOn(m.to)
		m.comesToRest(m.to, 2)
	})
}

// The source that comes back has the disks still, and its journal says that it was
// about to hand them over.
func TestProof09InstanceDeletedWhereItWentStaysDeletedWhenItsSourceIsBack(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.from, justGiven)
		m.from.Kill()
		m.declareDead(m.from)
		m.comesToRest(m.to, 2)
		if _, err := m.to.Client.DeleteInstance(m.t.Context(), m.made.ID, time.Minute); err != nil {
			m.t.Fatal(err)
		}
		time.Sleep(time.Minute)
		m.from.Start()
		m.Await(10*time.Minute, "it is nowhere", func() error {
			if on := m.copies()[m.made.ID]; len(on) > 0 {
				return fmt.Errorf("it is on %s", on[0].Name)
			}
			return m.idle(m.from)
		})
		time.Sleep(10 * time.Minute)
		if on := m.copies()[m.made.ID]; len(on) > 0 {
			m.t.Errorf("it is on %s again", on[0].Name)
		}
	})
}

func TestProof09SourceGivenUpBeforeItGaveIsFollowedToo(t *testing.T) {
	eachMove(t, func(m *moving) {
		m.departs(m.to, builtThere)
		m.from.Kill()
		m.to.points.goOn()
		m.declareDead(m.from)
		m.comesToRest(m.to, 2)
		m.starts(m.to)
		m.from.Start()
		m.superseded(m.from, m.to)
		m.comesToRest(m.to, 2)
	})
}

// A name is free when its instance is deleted where it has gone.
func TestProof09NameIsFreeWhenItsInstanceIsDeletedWhereItWent(t *testing.T) {
	eachMove(t, func(m *moving) {
		if err := m.travelled(); err != nil {
			m.t.Fatal(err)
		}
		if _, err := m.to.Client.DeleteInstance(m.t.Context(), m.made.ID, time.Minute); err != nil {
			m.t.Fatal(err)
		}
		if next, err := m.createAs("next", ""); err != nil || next.Instance.ID == m.made.ID {
			m.t.Errorf("another instance of the name is answered with %+v, %v", next.Instance, err)
		}
		if again, err := m.create(); fleet.CodeOf(err) != fleet.CodeNameTaken && fleet.CodeOf(err) != fleet.CodeGone {
			m.t.Errorf("the first create, sent again, is answered with %+v, %v", again.Instance, err)
		}
	})
}

// travelled is an undisturbed move.
func (m *moving) travelled() error {
	_, err := m.travel(nil)
	return err
}

func TestProof09WhatCannotBeMovedIsRefusedAtOnce(t *testing.T) {
	eachMove(t, func(m *moving) {
		asked := func(to *Host) error {
			ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
			defer cancel()
			_, err := m.Registries[0].Client.MigrateInstance(ctx, m.made.ID, fleet.Migrate{Host: to.Name}, client.KeyedOptions{})
			return err
		}
		if err := asked(m.Hosts[1]); fleet.CodeOf(err) != fleet.CodeRefused {
			m.t.Errorf("to another hypervisor: %v", err)
		}
		if err := asked(m.from); fleet.CodeOf(err) != fleet.CodeConflict {
			m.t.Errorf("to the host that it is on: %v", err)
		}
		m.starts(m.from)
		if err := asked(m.to); fleet.CodeOf(err) != fleet.CodeConflict {
			m.t.Errorf("of one that runs: %v", err)
		}
		if given, _ := m.journalled(); given || m.from.machine(m.made.ID) == nil {
			m.t.Error("it was given away all the same")
		}
	})
}
