package replica_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// inProject is a machine's row in a project: with 600 names many have the same
// bits in a sign.
func inProject(n, project int) replica.OwnRow {
	return replica.OwnRow{Key: wire.InstanceKey(instance(n)), Body: wire.EncodeInstance(fleet.Instance{
		Name: fmt.Sprintf("vm-%d", n), Project: projectName(project), Power: fleet.PowerRunning,
	})}
}

func projectName(n int) string { return fmt.Sprintf("the project with the number %d", n) }

// pageOf returns all machines of a project.
func pageOf(r *replica.Replica, project int) map[fleet.InstanceID]bool {
	found := map[fleet.InstanceID]bool{}
	q := replica.Query{Project: projectName(project), Power: fleet.PowerRunning, Limit: 7}
	for more := true; more; {
		var rows []replica.Found
		rows, more = r.Page(q)
		for _, f := range rows {
			found[f.ID()] = true
			q.After = f.ID()
		}
	}
	return found
}

func TestMachineIsListedInItsProjectAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		project := rapid.IntRange(0, 599)
		r, o, is := replica.New(), replica.NewOrigin(host(1)), map[int]int{}
		o.Begin(1, 1)
		var last replica.Head
		for range rapid.IntRange(1, 12).Draw(t, "versions") {
			for range rapid.IntRange(1, 30).Draw(t, "changes") {
				n := rapid.IntRange(0, 99).Draw(t, "machine")
				if is[n] = project.Draw(t, "project"); rapid.IntRange(0, 4).Draw(t, "verb") == 0 {
					delete(is, n)
				}
			}
			var rows []replica.OwnRow
			for n, project := range is {
				rows = append(rows, inProject(n, project))
			}
			b, _, err := o.Next(rows)
			if err != nil {
				t.Fatal(err)
			}
			if rapid.Bool().Draw(t, "heard") { // a version that is not heard comes with the next
				if d, ok := b.Since(last); ok {
					if got, err := r.Apply(d, peer, start); got != replica.Applied {
						t.Fatal(got, err)
					}
				}
				last = b.Head()
				checkProjects(t, r, is)
			}
		}
	})
}

func checkProjects(t *rapid.T, r *replica.Replica, is map[int]int) {
	listed := 0
	for project := range 600 {
		for id := range pageOf(r, project) {
			listed++
			found := false
			for n, p := range is {
				found = found || instance(n) == id && p == project
			}
			if !found {
				t.Fatalf("project %d lists %s, which is not in it", project, id)
			}
		}
	}
	if listed != len(is) {
		t.Fatalf("%d machines are listed of %d", listed, len(is))
	}
}

// A reader never sees a machine in a project that it is not in, while machines
// move between projects all the time.
func TestReaderNeverSeesAnotherProject(t *testing.T) {
	const machines, rounds = 40, 400
	r, o := replica.New(), replica.NewOrigin(host(1))
	o.Begin(1, 1)
	var stop atomic.Bool
	done := make(chan string, 1)
	go func() {
		wrong := ""
		for n := 0; wrong == "" && !stop.Load(); n++ {
			q := replica.Query{Project: projectName(n % 600), Power: fleet.PowerRunning, Limit: 100}
			rows, _ := r.Page(q)
			for _, f := range rows {
				if in, ok := f.Instance(); !ok || in.Project != q.Project {
					wrong = fmt.Sprintf("a page of %q has a machine of %q", q.Project, in.Project)
				}
			}
		}
		done <- wrong
	}()
	for round := range rounds {
		var rows []replica.OwnRow
		for n := range machines {
			rows = append(rows, inProject(n, (n*15+round*(n%3))%600))
		}
		b, _, err := o.Next(rows)
		if err != nil {
			t.Fatal(err)
		}
		r.Install(b, start)
	}
	stop.Store(true)
	if wrong := <-done; wrong != "" {
		t.Fatal(wrong)
	}
}
