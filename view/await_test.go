package view

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/mesh"
)

// awaited is what an Await in the background returned.
type awaited struct {
	row *fleet.Instance
	err error
}

func await(ctx context.Context, v *View, at fleet.Version) <-chan awaited {
	done := make(chan awaited, 1)
	go func() {
		row, err := v.Await(ctx, uuid(9), at)
		done <- awaited{row, err}
	}()
	return done
}

func TestAwaitEndsWhenTheTaskDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		at := m.publish(mesh.State{Host: host(1, "a")})
		v := m.view()
		at.Seq++
		done := await(t.Context(), v, at)
		pending := func(when string) {
			t.Helper()
			synctest.Wait()
			select {
			case got := <-done:
				t.Fatalf("returned %+v %s", got, when)
			default:
			}
		}
		pending("before the block was there")
		building := instance(9, "vm")
		building.Task = fleet.TaskBuilding
		m.change(uuid(1), func(s *mesh.State) { s.Instances = []fleet.Instance{building} })
		pending("while it builds")
		m.publish(mesh.State{Host: host(2, "b")})
		pending("after another host's change")
		m.change(uuid(1), func(s *mesh.State) { s.Instances[0].Task = fleet.TaskNone })
		got := <-done
		if got.err != nil || got.row == nil || got.row.Task != fleet.TaskNone || got.row.HostName != "a" {
			t.Errorf("got %+v; want the row without a task, with its host's name", got)
		}
	})
}

func TestAwaitEndsWhenTheInstanceIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		deleting := instance(9, "vm")
		deleting.Task = fleet.TaskDeleting
		at := m.publish(mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{deleting}})
		done := await(t.Context(), m.view(), at)
		synctest.Wait()
		m.change(uuid(1), func(s *mesh.State) { s.Instances = nil })
		if got := <-done; got.err != nil || got.row != nil {
			t.Errorf("got %+v; want no row and no error", got)
		}
	})
}

func TestAwaitReturnsTheRowAsItIsWhenTimeIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		building := instance(9, "vm")
		building.Task = fleet.TaskBuilding
		at := m.publish(mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{building}})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		if got := <-await(ctx, m.view(), at); got.err != nil || got.row == nil || got.row.Task != fleet.TaskBuilding {
			t.Errorf("got %+v; want the row, still building", got)
		}
	})
}

func TestAwaitWaitsForTheVersionThoughTheRowLooksDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newFakeMesh(t)
		at := m.publish(mesh.State{Host: host(1, "a"), Instances: []fleet.Instance{instance(9, "vm")}})
		at.Seq++ // a reboot was promised; this node has not heard of it
		done := await(t.Context(), m.view(), at)
		synctest.Wait()
		select {
		case got := <-done:
			t.Fatalf("returned %+v, a row of before the promise", got)
		default:
		}
		m.change(uuid(1), func(s *mesh.State) { s.Host.Instances = 1 })
		if got := <-done; got.row == nil {
			t.Error("no row at the version that was waited for")
		}
	})
}
