package libvirt_test

import (
	"slices"
	"testing"

	"grapevine/drivers"
	"grapevine/fleet"
)

// volumes made for machines are told with them, also one whose machine is not
// there; images and what others keep in the pool are not.
func (l *lab) volumes(t *testing.T) {
	d := driver(t, l, nil)
	im, content := tinyGuest()
	s := spec(t, d, im, content, 1)
	must(t, d.Build(t.Context(), s))
	lost := fleet.NewUUIDv4([16]byte{9, 8, 7})
	for _, name := range []string{"disk-" + lost.String() + ".qcow2", "disk-of-somebody.qcow2"} {
		l.virsh(t, "vol-create-as", "grapevine", name, "1M", "--format", "qcow2")
		t.Cleanup(func() { l.virsh(t, "vol-delete", name, "--pool", "grapevine") })
	}
	got, err := d.Volumes(t.Context())
	must(t, err)
	if !slices.ContainsFunc(got, func(v drivers.Volume) bool { return v.Machine == s.Mark.ID }) {
		t.Errorf("got %v; want a disk of %s among them", got, s.Mark.ID)
	}
	if !slices.Contains(got, drivers.Volume{Machine: lost, Name: "disk-" + lost.String() + ".qcow2"}) {
		t.Errorf("got %v; want the disk that belongs to no machine among them", got)
	}
	if slices.ContainsFunc(got, func(v drivers.Volume) bool { return v.Name == "disk-of-somebody.qcow2" }) {
		t.Errorf("got %v; one of them is somebody else's", got)
	}
}
