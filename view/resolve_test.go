package view

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh"
)

func kernelImage(name string, disk bool) fleet.Image {
	im := diskImage(7, name, 3<<30+1)
	kernel := fleet.ImageFile{Role: fleet.RoleKernel, SHA256: diskImage(8, "", 0).ID, Bytes: 10}
	if disk {
		im.Files = append([]fleet.ImageFile{kernel}, im.Files...)
	} else {
		im.Files = []fleet.ImageFile{kernel}
	}
	im.ID = fleet.ImageID(im.Files, "")
	return im
}

func TestResolveTurnsNamesIntoNumbers(t *testing.T) {
	m := newFakeMesh(t)
	disk, kernel, both := diskImage(1, "debian", 3<<30+1), kernelImage("tiny", false), kernelImage("split", true)
	m.publish(mesh.State{Host: host(1, "alpha"), Images: []fleet.Image{disk, kernel, both}})
	v := m.view()
	base := fleet.Request{
		Name: "vm", Project: fleet.DefaultProject, Flavor: "nano", Image: disk.ID,
		Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128, DiskGiB: 4}, Traits: []string{"boot-disk"},
	}
	for _, test := range []struct {
		name   string
		create fleet.Create
		want   func(*fleet.Request)
	}{
		{"disk by name, size rounded up to whole GiB", fleet.Create{Image: "debian"}, func(*fleet.Request) {}},
		{"disk by id", fleet.Create{Image: disk.ID}, func(*fleet.Request) {}},
		{"kernel alone needs no disk", fleet.Create{Image: "tiny"}, func(r *fleet.Request) {
			r.Image, r.DiskGiB, r.Traits = kernel.ID, 0, []string{"boot-kernel"}
		}},
		{"kernel with disk boots the kernel", fleet.Create{Image: "split"}, func(r *fleet.Request) {
			r.Image, r.Traits = both.ID, []string{"boot-kernel"}
		}},
		{"flavor's disk where it is larger", fleet.Create{Image: "debian", Flavor: "roomy"}, func(r *fleet.Request) {
			r.Flavor, r.DiskGiB = "roomy", 50
		}},
		{"host by name", fleet.Create{Image: "debian", Host: "alpha"}, func(r *fleet.Request) { r.Host = uuid(1) }},
		{"host by id", fleet.Create{Image: "debian", Host: uuid(1).String()}, func(r *fleet.Request) { r.Host = uuid(1) }},
		{"the rest as it is", fleet.Create{Image: "debian", Project: "shop", Zone: "z2", Hypervisor: fleet.Xen, Labels: map[string]string{"a": "b"}}, func(r *fleet.Request) {
			r.Project, r.Zone, r.Hypervisor, r.Labels = "shop", "z2", fleet.Xen, map[string]string{"a": "b"}
		}},
		{"traits beside those that it needs, once", fleet.Create{Image: "debian", Traits: []string{"resize-live", "boot-disk"}, HostLabels: map[string]string{"rack": "r1"}}, func(r *fleet.Request) {
			r.Traits, r.HostLabels = []string{"boot-disk", "resize-live"}, map[string]string{"rack": "r1"}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			v.cfg.Flavors = append(fleet.BuiltinFlavors(), fleet.Flavor{Name: "roomy", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 128, DiskGiB: 50}})
			c := test.create
			c.Name = "vm"
			if c.Flavor == "" {
				c.Flavor = "nano"
			}
			got, err := v.Resolve(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			want := base
			test.want(&want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestResolveRefusesWhatItDoesNotKnow(t *testing.T) {
	m := newFakeMesh(t)
	m.publish(mesh.State{Host: host(1, "alpha"), Images: []fleet.Image{diskImage(1, "debian", 0), diskImage(2, "debian", 0)}})
	v := m.view()
	for _, test := range []struct {
		create fleet.Create
		code   fleet.Code
	}{
		{fleet.Create{Name: "vm", Flavor: "gigantic", Image: "debian"}, fleet.CodeUnknownFlavor},
		{fleet.Create{Name: "vm", Flavor: "nano", Image: "windows"}, fleet.CodeUnknownImage},
		{fleet.Create{Name: "vm", Flavor: "nano", Image: diskImage(3, "", 0).ID}, fleet.CodeUnknownImage},
		{fleet.Create{Name: "vm", Flavor: "nano", Image: "debian"}, fleet.CodeAmbiguous},
		{fleet.Create{Name: "vm", Flavor: "nano", Image: diskImage(1, "", 0).ID, Host: "nowhere"}, fleet.CodeInvalid},
		{fleet.Create{Name: "", Flavor: "nano", Image: "debian"}, fleet.CodeInvalid},
	} {
		_, err := v.Resolve(t.Context(), test.create)
		if got := fleet.CodeOf(err); got != test.code {
			t.Errorf("%+v: error %v, want code %s", test.create, err, test.code)
		}
	}
	_, err := v.Image(t.Context(), "debian")
	want := []string{diskImage(1, "", 0).ID, diskImage(2, "", 0).ID}
	if diff := cmp.Diff(want, wantCode(t, err, fleet.CodeAmbiguous).Candidates); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

func TestImagesAreGatheredOverTheirHolders(t *testing.T) {
	m := newFakeMesh(t)
	im, other := diskImage(1, "debian", 0), diskImage(2, "alpine", 0)
	renamed := im
	renamed.Name, renamed.CreatedAt = "bookworm", im.CreatedAt.Add(time.Second)
	m.publish(mesh.State{Host: host(2, "b"), Images: []fleet.Image{im}})
	m.publish(mesh.State{Host: host(1, "a"), Images: []fleet.Image{renamed, other}})
	v := m.view()
	want := func(want ...fleet.Image) {
		t.Helper()
		got, err := v.Images(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(append([]fleet.Image{}, want...), got.Items); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
	}
	onBoth, onA := im, other
	onBoth.Hosts, onA.Hosts = []fleet.HostID{uuid(1), uuid(2)}, []fleet.HostID{uuid(1)}
	want(onA, onBoth)
	if got, err := v.Image(t.Context(), "bookworm"); err != nil || got.ID != im.ID {
		t.Errorf("by a holder's own name: %v, %v; want %s", got.ID, err, im.ID)
	}
	m.member(uuid(2), fleet.MemberFailed) // an unheard holder still holds
	want(onA, onBoth)
	m.change(uuid(2), func(s *mesh.State) { s.Images = nil })
	renamed.Hosts = []fleet.HostID{uuid(1)}
	want(onA, renamed)
	_, err := v.Image(t.Context(), "debian")
	wantCode(t, err, fleet.CodeNotFound)
	m.change(uuid(1), func(s *mesh.State) { s.Images = nil })
	want()
}

func TestImageCanBeFetchedWhileAHolderIsHeard(t *testing.T) {
	m := newFakeMesh(t)
	im := diskImage(1, "debian", 0)
	giver := host(1, "alpha")
	giver.Traits = append(giver.Traits, fleet.TraitImageSource)
	m.publish(mesh.State{Host: giver, Images: []fleet.Image{im}})
	m.publish(mesh.State{Host: host(2, "beta"), Images: []fleet.Image{im}}) // holds it and does not give it
	v := m.view()
	want := func(trait string, sources ...fleet.HostID) {
		t.Helper()
		req, err := v.Resolve(t.Context(), fleet.Create{Name: "vm", Flavor: "nano", Image: "debian"})
		if err != nil || req.Obtain != trait {
			t.Errorf("got %q, %v; want %q", req.Obtain, err, trait)
		}
		if got := v.ImageSources(im.ID); !slices.Equal(got, sources) {
			t.Errorf("the sources are %v, want %v", got, sources)
		}
	}
	want("image-"+im.Files[0].Format, uuid(1))
	m.member(uuid(1), fleet.MemberFailed)
	want("")
	m.member(uuid(1), fleet.MemberAlive)
	want("image-"+im.Files[0].Format, uuid(1))
}

func TestExplainFollowsTheReplica(t *testing.T) {
	m := newFakeMesh(t)
	im := diskImage(1, "debian", 0)
	m.publish(mesh.State{Host: host(1, "alpha"), Images: []fleet.Image{im}})
	m.publish(mesh.State{Host: host(2, "beta")})
	v, create := m.view(), fleet.Create{Name: "vm", Flavor: "nano", Image: "debian"}
	explain := func() fleet.Explanation {
		t.Helper()
		e, err := v.Explain(t.Context(), create)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	e := explain()
	if e.Chosen != uuid(1) || e.ChosenName != "alpha" || len(e.Verdicts) != 2 || e.Verdicts[1].Refusals[0].Code != fleet.RefuseImage {
		t.Errorf("explanation %+v; want alpha, and beta refused for the image", e)
	}
	m.change(uuid(1), func(s *mesh.State) { s.Host.State = fleet.HostCordoned })
	if e := explain(); !e.Chosen.IsZero() || e.Verdicts[0].Refusals[0].Code != fleet.RefuseCordoned {
		t.Errorf("explanation %+v; want alpha refused as cordoned", e)
	}
	m.change(uuid(1), func(s *mesh.State) { s.Host.State = fleet.HostOK })
	m.member(uuid(1), fleet.MemberFailed)
	if e := explain(); !e.Chosen.IsZero() || e.Verdicts[0].Refusals[0].Code != fleet.RefuseUnreachable {
		t.Errorf("explanation %+v; want alpha refused as unreachable", e)
	}
}

func TestMergeTellsPlacementAndNotReaders(t *testing.T) {
	m := newFakeMesh(t)
	im := diskImage(1, "debian", 0)
	m.publish(mesh.State{Host: host(1, "alpha"), Images: []fleet.Image{im}})
	v := m.view()
	req := &fleet.Request{Image: im.ID, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 1}}
	if _, ok := v.Pick(req, nil); !ok {
		t.Fatal("nothing picked on an empty host")
	}
	full, _ := v.Host(t.Context(), uuid(1))
	full.Capacity = fleet.NewCapacity(fleet.Resources{VCPUs: 8}, fleet.Resources{}, fleet.Resources{VCPUs: 8})
	full.Version.Seq++
	v.Merge(full)
	if id, ok := v.Pick(req, nil); ok {
		t.Errorf("picked %s, which has just said that it is full", id)
	}
	if got, _ := v.Host(t.Context(), uuid(1)); got.Capacity.VCPUs.Free != 8 {
		t.Errorf("readers see %d vCPUs free, want the replica's 8", got.Capacity.VCPUs.Free)
	}
	full.Images, full.Version.Seq = nil, full.Version.Seq+1 // as agents send it
	full.Capacity = fleet.NewCapacity(fleet.Resources{VCPUs: 8, MemoryMiB: 8}, fleet.Resources{}, fleet.Resources{})
	v.Merge(full)
	if _, ok := v.Pick(req, nil); !ok {
		t.Error("nothing picked, though the host has room again and still holds the image")
	}
	v.Merge(fleet.Host{ID: uuid(99)}) // of a host that was never heard: no place for it
	if v.index.Len() != 1 {
		t.Errorf("placement knows %d hosts, want 1", v.index.Len())
	}
}
