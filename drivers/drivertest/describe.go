package drivertest

import (
	"errors"
	"slices"

	"github.com/google/go-cmp/cmp"

	"grapevine/drivers"
	"grapevine/fleet"
)

func describeIsStable(k *kit) {
	before, err := k.d.Describe(k.Context())
	k.must(err)
	if err := before.Hypervisor.Validate(); err != nil {
		k.Error(err)
	}
	if before.Version == "" || before.Hardware == "" {
		k.Errorf("version %q, hardware %q; want both", before.Version, before.Hardware)
	}
	if t := before.Total; t.VCPUs < 1 || t.MemoryMiB < 1 || t.DiskGiB < 1 {
		k.Errorf("the host has %+v; want all above 0", t)
	}
	if t, r := before.Total, before.Reserved; r.VCPUs > t.VCPUs || r.MemoryMiB > t.MemoryMiB || r.DiskGiB > t.DiskGiB {
		k.Errorf("of %+v %+v are reserved, which is more", t, r)
	}
	k.act(k.build("total"), fleet.Start)
	after, err := k.open().Describe(k.Context())
	k.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		k.Errorf("another driver, with one more machine running, describes another host (-before +after):\n%s", diff)
	}
}

func declaredFeaturesAreThere(k *kit) {
	desc, err := k.d.Describe(k.Context())
	k.must(err)
	has := func(f drivers.Feature) bool { return slices.Contains(desc.Features, f) }
	if !has(drivers.FeatureBootDisk) && !has(drivers.FeatureBootKernel) {
		k.Error("it declares neither boot-disk nor boot-kernel; it could boot nothing")
	}
	if _, is := k.d.(drivers.ConsoleLogger); has(drivers.FeatureConsoleLog) && !is {
		k.Error("console-log is declared and the driver is no ConsoleLogger")
	}
	if _, is := k.d.(drivers.Consoler); (has(drivers.FeatureConsole) || has(drivers.FeatureVNC)) && !is {
		k.Error("console or vnc is declared and the driver is no Consoler")
	}
	if _, is := k.d.(drivers.Snapshotter); has(drivers.FeatureSnapshot) && !is {
		k.Error("snapshot is declared and the driver is no Snapshotter")
	}
	if _, is := k.d.(drivers.Resizer); has(drivers.FeatureResize) && !is {
		k.Error("resize is declared and the driver is no Resizer")
	}
	if _, is := k.d.(drivers.DiskReader); has(drivers.FeatureReadDisks) && !is {
		k.Error("read-disks is declared and the driver is no DiskReader")
	}
	if _, is := k.d.(drivers.GuestTeller); has(drivers.FeatureMigrate) && (!is || !has(drivers.FeatureReadDisks) || !has(drivers.FeatureCopyDisks) || !has(drivers.FeatureDevices)) {
		k.Error("migrate is declared and the driver is no GuestTeller, or lacks read-disks, copy-disks or devices")
	}
	if _, is := k.d.(drivers.LiveResizer); has(drivers.FeatureResizeLive) && !is {
		k.Error("resize-live is declared and the driver is no LiveResizer")
	}
	if _, is := k.d.(drivers.Metered); has(drivers.FeatureUsage) && !is {
		k.Error("usage is declared and the driver is not Metered")
	}
	if has(drivers.FeaturePause) {
		return
	}
	id := k.build("no-pause")
	k.act(id, fleet.Start)
	if err := k.d.Act(k.Context(), id, fleet.Pause, drivers.ActOptions{}); !errors.Is(err, drivers.ErrUnsupported) {
		k.Errorf("pause without the feature: got %v, want ErrUnsupported", err)
	}
	k.wantPower(id, fleet.PowerRunning)
}

func listIsComplete(k *kit) {
	made := []fleet.InstanceID{k.build("one"), k.define("two"), k.build("three")}
	list := k.list()
	for _, id := range made {
		if n := k.count(id); n != 1 {
			k.Errorf("machine %s is listed %d times", id, n)
		}
	}
	if !slices.IsSortedFunc(list, func(a, b drivers.Machine) int { return a.ID.Compare(b.ID) }) {
		k.Error("the list is not ordered by id")
	}
	if diff := cmp.Diff(list, k.list()); diff != "" {
		k.Errorf("two lists with nothing between them differ:\n%s", diff)
	}
	for _, m := range list {
		one, err := k.d.Inspect(k.Context(), m.ID)
		k.must(err)
		if diff := cmp.Diff(m, one); diff != "" {
			k.Errorf("List and Inspect differ (-list +inspect):\n%s", diff)
		}
	}
}

func unknownIsNotFound(k *kit) {
	id := newID()
	if _, err := k.d.Inspect(k.Context(), id); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("inspect: got %v, want ErrNotFound", err)
	}
	for _, action := range []fleet.InstanceAction{fleet.Start, fleet.Stop, fleet.Reboot} {
		if err := k.d.Act(k.Context(), id, action, drivers.ActOptions{}); !errors.Is(err, drivers.ErrNotFound) {
			k.Errorf("%s: got %v, want ErrNotFound", action, err)
		}
	}
	if err := k.d.Disown(k.Context(), id); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("disown: got %v, want ErrNotFound", err)
	}
	if err := k.d.Adopt(k.Context(), id, drivers.Mark{ID: id, Name: "nobody"}); !errors.Is(err, drivers.ErrNotFound) {
		k.Errorf("adopt: got %v, want ErrNotFound", err)
	}
	if err := k.d.Delete(k.Context(), id); err != nil {
		k.Errorf("delete: got %v, want no error: what is not there is deleted", err)
	}
}
