package registry

import (
	"strings"
	"testing"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/people"
)

// tenGiB is a project in which an instance of 4 GiB and 2 GiB of disk may get four
// more.
const tenGiB = "[[projects]]\nname = \"default\"\n[projects.quota]\ndisk_gib = 10\n"

// disked publishes an instance of that size, and has its host tell its disks.
func (w *world) disked(c *core, n *news) fleet.Instance {
	w.t.Helper()
	row := nano(c, newInstanceID(), w.agents[0].row.ID)
	row.DiskGiB = 6
	w.agents[0].set(func(a *fakeAgent) {
		a.devices = []fleet.Device{{Kind: fleet.DeviceDisk, Name: "disk-0", SizeGiB: 4}, {Kind: fleet.DeviceDisk, Name: "disk-1", SizeGiB: 2}, {Kind: fleet.DeviceNIC, Name: "52:54:00:00:00:01"}}
	})
	n.publish(w.agents[0].row, row)
	return row
}

func attach(gib int64) fleet.DeviceChange {
	return fleet.DeviceChange{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: gib}}
}

func grow(name string, gib int64) fleet.DeviceChange {
	return fleet.DeviceChange{Verb: fleet.GrowDisk, Name: name, Device: fleet.AttachRequest{SizeGiB: gib}}
}

func TestQuotaJudgesDisksThatComeLater(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited(tenGiB)
	row := w.disked(c, n)
	for name, change := range map[string]fleet.DeviceChange{
		"attached": attach(5), "the first grown": grow("disk-0", 9), "another grown": grow("disk-1", 7),
	} {
		_, err := c.ChangeDevice(t.Context(), row.ID, change)
		wantQuota(t, err, "disk_gib")
		if want := "has 6 of at most 10 disk_gib, and 5 more are asked for: 1 too many"; !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q in it", name, err, want)
		}
	}
	if w.agents[0].sized != 0 {
		t.Errorf("the host was asked %d times for what the quota refuses", w.agents[0].sized)
	}
	w.agents[0].set(func(a *fakeAgent) { a.ahead = 100 })
	for _, change := range []fleet.DeviceChange{
		attach(4), grow("disk-1", 2), grow("no such", 100),
		{Verb: fleet.DetachDevice, Name: "disk-1"},
		{Verb: fleet.AttachDevice, Device: fleet.AttachRequest{Kind: fleet.DeviceNIC, Network: "lan"}},
	} {
		if _, err := c.ChangeDevice(t.Context(), row.ID, change); err != nil {
			t.Errorf("%+v: %v", change, err)
		}
	}
	_, err := c.ChangeDevice(t.Context(), row.ID, attach(1))
	wantQuota(t, err, "disk_gib") // although no host has told of what was promised
}

func TestQuotaJudgesResizesOfMachinesWithFurtherDisks(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited(tenGiB)
	row := w.disked(c, n)
	for _, tt := range []struct {
		to, want int64
	}{{3, 0}, {4, 0}, {6, 2}, {9, 5}, {0, 0}} {
		m, err := c.grown(t.Context(), &row, fleet.Resources{VCPUs: 1, MemoryMiB: 1, DiskGiB: tt.to})
		if err != nil || m.taken != (people.Taken{Resources: fleet.Resources{DiskGiB: tt.want}}) {
			t.Errorf("a first disk of 4 GiB, beside 2, made %d: %+v, %v, want %d more", tt.to, m.taken, err, tt.want)
		}
	}
	w.agents[0].set(func(a *fakeAgent) { a.devices = nil })
	if m, err := c.grown(t.Context(), &row, fleet.Resources{DiskGiB: 9}); err != nil || m.taken.DiskGiB != 3 {
		t.Errorf("where disks are not told apart: %+v, %v, want 3 more", m.taken, err)
	}
	n.status(row.Host, fleet.MemberFailed)
	_, err := c.grown(t.Context(), &row, fleet.Resources{DiskGiB: 9})
	wantCode(t, err, fleet.CodeHostUnreachable)
}

// A row has its new size when the host is done, and says till then what is done.
func TestQuotaCountsWhatIsPromisedUntilItIsThere(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited(tenGiB)
	row, host := w.disked(c, n), w.agents[0].row
	change := func(change fleet.DeviceChange, ahead uint64) error {
		w.agents[0].set(func(a *fakeAgent) { a.ahead = ahead })
		_, err := c.ChangeDevice(t.Context(), row.ID, change)
		return err
	}
	left := func(want int64) {
		t.Helper()
		for gib, fits := range map[int64]bool{want: true, want + 1: false} {
			if err := c.quotas.judge(fleet.DefaultProject, claim{id: newInstanceID()}, people.Taken{Resources: fleet.Resources{DiskGiB: gib}}); gib > 0 && fits != (err == nil) {
				t.Errorf("%d GiB more: %v, want %d to be left", gib, err, want)
			}
		}
	}
	if err := change(attach(2), 1); err != nil { // promised at version 3
		t.Fatal(err)
	}
	left(2)
	row.Task = fleet.TaskAttaching
	n.publish(host, row) // version 3
	left(2)
	row.Task, row.DiskGiB = fleet.TaskNone, 8
	n.publish(host, row)
	left(2)
	if err := change(grow("disk-1", 3), 3); err != nil { // promised at version 5
		t.Fatal(err)
	}
	left(1)
	if err := change(attach(1), 4); err != nil { // promised at version 6: the disk has grown
		t.Fatal(err)
	}
	left(0)
	row.Task = fleet.TaskResizing
	n.publish(host, row) // version 5
	left(0)
	row.Task, row.DiskGiB = fleet.TaskAttaching, 9
	n.publish(host, row) // version 6
	left(0)
	row.Task, row.DiskGiB, row.Fault = fleet.TaskNone, 9, "no space"
	n.publish(host, row)
	left(1)
	if err := change(attach(1), 100); err != nil {
		t.Fatal(err)
	}
	left(0)
	c.quotas.given = func() []fleet.HostID { return []fleet.HostID{host.ID} }
	left(10)
}

func TestQuotaJudgesAdoptedMachines(t *testing.T) {
	w := newWorld(t, 1)
	c, n := w.limited(twoInstances)
	c.uniqueNames = []string{AllProjects}
	host := w.agents[0].row
	foreign := func() fleet.Instance {
		row := nano(c, newInstanceID(), host.ID)
		row.Ownership, row.Project, row.Flavor = fleet.Foreign, "", ""
		return row
	}
	rows := []fleet.Instance{nano(c, newInstanceID(), host.ID), foreign(), foreign()}
	n.publish(host, rows...)
	adopt := func(i int) error {
		_, err := c.ActInstance(t.Context(), rows[i].ID, fleet.Adopt, api.ActOptions{})
		return err
	}
	w.agents[0].set(func(a *fakeAgent) { a.ahead = 1 })
	if err := adopt(1); err != nil {
		t.Fatal(err)
	}
	rows[1].Task = fleet.TaskAdopting
	n.publish(host, rows...)
	rows[2].Name = "another"
	wantQuota(t, adopt(2), "instances")
	if len(w.agents[0].acted) != 1 || len(w.agents[0].keys) != 1 {
		t.Errorf("of the one that is refused the host was asked, or its name was taken: %v, %v", w.agents[0].acted, w.agents[0].keys)
	}
	rows[1].Task, rows[1].Ownership, rows[1].Project = fleet.TaskNone, fleet.Managed, fleet.DefaultProject
	n.publish(host, rows...)
	wantQuota(t, adopt(2), "instances")
	if err := adopt(1); err != nil {
		t.Errorf("one that is adopted already takes nothing more: %v", err)
	}
}
