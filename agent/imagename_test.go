package agent_test

import (
	"testing"

	"grapevine/agent"
	"grapevine/fleet"
)

// What has a name in the fleet keeps it, and whoever brings it again is told.
func TestContentThatIsThereKeepsItsName(t *testing.T) {
	want, content := ranged()
	url, _, _ := webServer(t, content, 0)
	s := newSite(t, func(c *agent.Config) { c.ImageURLs = []string{url} })
	name := func(asked string) (op fleet.Operation) {
		t.Helper()
		op, err := s.ImportURL(t.Context(), fleet.HostID{}, fleet.ImportURL{Name: asked, URL: url + "/disk.img"})
		if err != nil {
			t.Fatal(err)
		}
		if op.ImageName != asked {
			t.Errorf("before it is done the operation says %q, want the name asked for", op.ImageName)
		}
		return s.outcome(op.ID)
	}
	for _, asked := range []string{"first", "second"} {
		if op := name(asked); op.State != fleet.OperationSucceeded || op.Image != want.ID || op.ImageName != "first" {
			t.Errorf("downloaded as %s the operation is %+v, want an image called first", asked, op)
		}
	}

	id := s.wrote("what the guest wrote")
	for _, asked := range []string{"golden", "silver"} {
		accepted, err := s.CaptureInstance(t.Context(), id, fleet.CaptureInstance{ImageName: asked}, 0)
		if err != nil {
			t.Fatal(err)
		}
		if op := s.endOf(accepted.Operation); op.State != fleet.OperationSucceeded || op.ImageName != "golden" {
			t.Errorf("captured as %s the operation is %+v, want an image called golden", asked, op)
		}
	}
}
