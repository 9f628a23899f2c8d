package registry

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/api"
	"grapevine/fleet"
)

// running is a machine that is seen on an agent's host.
func running(n byte) fleet.Instance {
	return fleet.Instance{ID: fleet.UUID{200, n}, Name: "vm", Project: fleet.DefaultProject, Ownership: fleet.Managed, Power: fleet.PowerRunning, Generation: 1}
}

func TestActionIsDoneByTheOwner(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(1)
	n.publish(w.agents[1].row, in)
	accepted, err := c.ActInstance(t.Context(), in.ID, fleet.Pause, api.ActOptions{})
	if err != nil || accepted.Instance.Task != fleet.TaskPausing || !slices.Equal(w.agents[1].acted, []fleet.InstanceAction{fleet.Pause}) || w.agents[0].acted != nil {
		t.Errorf("accepted %+v, %v; acted on %v and %v; want a pause at hostb", accepted, err, w.agents[0].acted, w.agents[1].acted)
	}
	host, err := c.ActHost(t.Context(), w.agents[0].row.ID, fleet.Cordon)
	if err != nil || host.State != fleet.HostCordoned {
		t.Errorf("host is %q, %v; want cordoned", host.State, err)
	}
}

func TestResizeAsksTheOwnerForTheNumbersOfTheFlavorHere(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(1)
	n.publish(w.agents[1].row, in)
	accepted, err := c.ResizeInstance(t.Context(), in.ID, "small")
	if row := accepted.Instance; err != nil || row.Host != w.agents[1].row.ID || row.Flavor != "small" || row.MemoryMiB != 2048 {
		t.Errorf("accepted %+v, %v; want hostb to have been asked for small, 2048 MiB", accepted, err)
	}
	_, err = c.ResizeInstance(t.Context(), in.ID, "no such")
	wantCode(t, err, fleet.CodeUnknownFlavor)
}

func TestRebuildIsDoneByTheOwnerWithTheImageThatTheNameMeansHere(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(1)
	n.publish(w.agents[1].row, in)
	accepted, err := c.RebuildInstance(t.Context(), in.ID, fleet.Rebuild{Image: "tiny", Guest: fleet.Guest{Hostname: "db"}}, "key-1")
	if row := accepted.Instance; err != nil || row.Host != w.agents[1].row.ID || row.Image != w.image.ID || row.Name != "db key-1" {
		t.Errorf("accepted %+v, %v; want hostb to have been asked for %s, with the key", accepted, err, w.image.ID)
	}
	_, err = c.RebuildInstance(t.Context(), in.ID, fleet.Rebuild{Image: "no such"}, "")
	wantCode(t, err, fleet.CodeUnknownImage)
}

func TestMigrationIsDoneByTheOwnerToTheHostThatTheNameMeansHere(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(1)
	n.publish(w.agents[0].row)
	n.publish(w.agents[1].row, in)
	accepted, err := c.MigrateInstance(t.Context(), in.ID, fleet.Migrate{Host: w.agents[0].row.Name}, "key-1")
	if row := accepted.Instance; err != nil || row.Host != w.agents[1].row.ID || row.Name != w.agents[0].row.ID.String()+" key-1" {
		t.Errorf("accepted %+v, %v; want hostb to have been asked, with the other's id and the key", accepted, err)
	}
	_, err = c.MigrateInstance(t.Context(), in.ID, fleet.Migrate{Host: "no such"}, "")
	wantCode(t, err, fleet.CodeInvalid)
}

func TestSnapshotIsTakenByTheOwner(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(2)
	n.publish(w.agents[1].row, in)
	accepted, err := c.ChangeSnapshot(t.Context(), in.ID, fleet.SnapshotChange{Verb: fleet.TakeSnapshot, Name: "a b"})
	if row := accepted.Instance; err != nil || row.Host != w.agents[1].row.ID || row.Name != "a b" {
		t.Errorf("accepted %+v, %v; want hostb to have been asked for a b", accepted, err)
	}
}

func TestTicketForAConsoleIsTheOwners(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(2)
	n.publish(w.agents[1].row, in)
	ask := fleet.OpenConsole{Kind: fleet.VNCConsole}
	ticket, err := c.OpenConsole(t.Context(), in.ID, ask, api.Principal{Role: api.AsOperator})
	owner := w.agents[1].row
	want := fleet.ConsoleTicket{Instance: in.ID, Kind: ask.Kind, Host: owner.ID, HostName: owner.Name, URL: "wss://" + owner.API, Fingerprint: "registry"}
	if diff := cmp.Diff(want, ticket); diff != "" || err != nil {
		t.Errorf("%v, ticket (-want +got):\n%s", err, diff)
	}
	n.status(owner.ID, fleet.MemberFailed)
	_, err = c.OpenConsole(t.Context(), in.ID, ask, api.Principal{Role: api.AsOperator})
	wantCode(t, err, fleet.CodeHostUnreachable)
}

func TestMutationAtAnUnheardHostFailsAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.registry()
	c.timeout = time.Hour
	in := running(1)
	n.publish(w.agents[0].row, in)
	n.status(w.agents[0].row.ID, fleet.MemberFailed)
	_, err := c.ActInstance(t.Context(), in.ID, fleet.Stop, api.ActOptions{})
	wantCode(t, err, fleet.CodeHostUnreachable)
	_, err = c.DeleteInstance(t.Context(), in.ID)
	wantCode(t, err, fleet.CodeHostUnreachable)
	_, err = c.ActHost(t.Context(), w.agents[0].row.ID, fleet.Cordon)
	wantCode(t, err, fleet.CodeHostUnreachable)
	if w.agents[0].acted != nil {
		t.Errorf("the host was asked to %v", w.agents[0].acted)
	}
}

func TestMutationErrorsSayWhetherItMayHaveBeenDone(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.registry()
	in := running(1)
	n.publish(w.agents[0].row, in)
	_, err := c.DeleteInstance(t.Context(), in.ID) // the agent takes it and cuts the connection
	if e := wantCode(t, err, fleet.CodeOutcomeUnknown); e.Instance != in.ID {
		t.Errorf("the error is about %s, want %s", e.Instance, in.ID)
	}
	_ = w.agents[0].server.Close()
	_, err = c.DeleteInstance(t.Context(), in.ID)
	wantCode(t, err, fleet.CodeHostUnreachable)
	_, err = c.DeleteInstance(t.Context(), fleet.UUID{99})
	wantCode(t, err, fleet.CodeNotFound)
}

func TestImportGoesToTheRoomiestHostThatBootsIt(t *testing.T) {
	w := newWorld(t, 4)
	c, n := w.registry()
	disk := func(agent int, free int64, change func(*fleet.Host)) {
		row := w.agents[agent].row
		row.Capacity.DiskGiB = fleet.NewAmount(1000, 0, 1000-free)
		change(&row)
		n.publish(row)
	}
	disk(0, 900, func(h *fleet.Host) { h.Traits = []string{"boot-disk"} })
	disk(1, 800, func(*fleet.Host) {})
	disk(2, 700, func(*fleet.Host) {})
	disk(3, 999, func(*fleet.Host) {})
	n.status(w.agents[3].row.ID, fleet.MemberFailed)
	content := []byte("vmlz")
	im := fleet.Image{Name: "k", Bytes: 4, Files: []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: strings.Repeat("b", 64), Bytes: 4}}}
	im.ID = fleet.ImageID(im.Files, "")
	stored, err := c.ImportImage(t.Context(), fleet.HostID{}, im, bytes.NewReader(content))
	if err != nil || stored.ID != im.ID || !bytes.Equal(w.agents[1].stored, content) {
		t.Errorf("stored %s, %v; hostb has %q; want the content there", stored.ID, err, w.agents[1].stored)
	}
	if _, err := c.ImportImage(t.Context(), w.agents[2].row.ID, im, bytes.NewReader(content)); err != nil || !bytes.Equal(w.agents[2].stored, content) {
		t.Errorf("import to hostc by its id: %v, stored %q", err, w.agents[2].stored)
	}
	im.ID = strings.Repeat("0", 64)
	_, err = c.ImportImage(t.Context(), fleet.HostID{}, im, bytes.NewReader(content))
	wantCode(t, err, fleet.CodeInvalid)
}

func TestImportThatNoHostBootsNamesThem(t *testing.T) {
	w := newWorld(t, 2)
	c, _ := w.registry()
	im := fleet.Image{Name: "d", Bytes: 4, Files: []fleet.ImageFile{{Role: fleet.RoleDisk, SHA256: strings.Repeat("b", 64), Bytes: 4, Format: "raw", VirtualBytes: 4}}}
	im.ID = fleet.ImageID(im.Files, "")
	_, err := c.ImportImage(t.Context(), fleet.HostID{}, im, strings.NewReader("disk"))
	if e := wantCode(t, err, fleet.CodeRefused); len(e.Verdicts) != 2 || e.Verdicts[0].Refusals[0].Code != fleet.RefuseTrait {
		t.Errorf("verdicts %v; want both hosts, each for the trait", e.Verdicts)
	}
}

func TestImageIsCapturedByTheOwner(t *testing.T) {
	w := newWorld(t, 2)
	c, n := w.registry()
	in := running(2)
	n.publish(w.agents[1].row, in)
	accepted, err := c.CaptureInstance(t.Context(), in.ID, fleet.CaptureInstance{ImageName: "golden"})
	if row := accepted.Instance; err != nil || row.Host != w.agents[1].row.ID || row.Name != "golden" {
		t.Errorf("accepted %+v, %v; want hostb to have been asked for golden", accepted, err)
	}
}
