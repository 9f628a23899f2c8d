package fleet_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

const someImage = "00000000000000000000000000000000000000000000000000000000000000aa"

func fittingHost() fleet.Host {
	total := fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 100}
	return fleet.Host{
		ID: fleet.UUID{1}, Name: "kvm-1", Zone: "a", Hypervisor: fleet.KVM, State: fleet.HostOK,
		Capacity: fleet.NewCapacity(total, fleet.Resources{MemoryMiB: 512}, fleet.Resources{VCPUs: 1}),
		Labels:   map[string]string{"rack": "r12", "spare": ""},
		Traits:   []string{"boot-kernel"}, Networks: []string{"default"}, Images: []string{someImage},
	}
}

// without makes a host that holds no image and has one trait more.
func without(trait string) func(*fleet.Host) {
	return func(h *fleet.Host) { h.Images, h.Traits = nil, append(h.Traits, trait) }
}

func TestFitsNamesEveryReason(t *testing.T) {
	for _, c := range []struct {
		name string
		host func(*fleet.Host)
		req  fleet.Request
		want []fleet.RefusalCode
	}{
		{"a plain request", nil, fleet.Request{Image: someImage}, nil},
		{"exactly what is free", nil, fleet.Request{Resources: fleet.Resources{VCPUs: 3, MemoryMiB: 3584, DiskGiB: 100}}, nil},
		{"one MiB more", nil, fleet.Request{Resources: fleet.Resources{MemoryMiB: 3585}}, []fleet.RefusalCode{fleet.RefuseCapacity}},
		{
			"too much of everything", nil,
			fleet.Request{Resources: fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 101}},
			[]fleet.RefusalCode{fleet.RefuseCapacity, fleet.RefuseCapacity, fleet.RefuseCapacity},
		},
		{"another host", nil, fleet.Request{Host: fleet.UUID{2}}, []fleet.RefusalCode{fleet.RefuseHost}},
		{"another hypervisor", nil, fleet.Request{Hypervisor: fleet.Xen}, []fleet.RefusalCode{fleet.RefuseHypervisor}},
		{"another zone", nil, fleet.Request{Zone: "b"}, []fleet.RefusalCode{fleet.RefuseZone}},
		{"a missing trait", nil, fleet.Request{Traits: []string{"boot-kernel", "boot-disk"}}, []fleet.RefusalCode{fleet.RefuseTrait}},
		{"a missing feature of the processor", nil, fleet.Request{Traits: []string{"cpu-avx2", "boot-kernel"}}, []fleet.RefusalCode{fleet.RefuseCPU}},
		{
			"a full storage, nothing asked", func(h *fleet.Host) { h.Traits = append(h.Traits, fleet.TraitStorageFull) },
			fleet.Request{},
			[]fleet.RefusalCode{fleet.RefuseStorage},
		},
		{"labels that it has", nil, fleet.Request{HostLabels: map[string]string{"rack": "r12", "spare": ""}}, nil},
		{
			"a missing label, and one with another value", nil,
			fleet.Request{HostLabels: map[string]string{"rack": "r1", "row": "", "spare": ""}},
			[]fleet.RefusalCode{fleet.RefuseLabel, fleet.RefuseLabel},
		},
		{"networks that it has", nil, fleet.Request{Networks: []fleet.NIC{{Network: "default"}}}, nil},
		{"no network at all", nil, fleet.Request{Networks: []fleet.NIC{{Network: fleet.NoNetwork}}}, nil},
		{"a missing network", nil, fleet.Request{Networks: []fleet.NIC{{Network: "default"}, {Network: "dmz"}}}, []fleet.RefusalCode{fleet.RefuseNetwork}},
		{"a missing image", func(h *fleet.Host) { h.Images = nil }, fleet.Request{Image: someImage}, []fleet.RefusalCode{fleet.RefuseImage}},
		{"an image that it can get", without("image-qcow2"), fleet.Request{Image: someImage, Obtain: "image-qcow2"}, nil},
		{"an image of a kind that it does not take", without("image-vmdk"), fleet.Request{Image: someImage, Obtain: "image-qcow2"}, []fleet.RefusalCode{fleet.RefuseImage}},
		{"an image that nobody can give", without("image-qcow2"), fleet.Request{Image: someImage}, []fleet.RefusalCode{fleet.RefuseImage}},
		{"an image that it holds and could not get", nil, fleet.Request{Image: someImage, Obtain: "image-qcow2"}, nil},
		{"a cordoned host", func(h *fleet.Host) { h.State = fleet.HostCordoned }, fleet.Request{}, []fleet.RefusalCode{fleet.RefuseCordoned}},
		{"a state of a newer version", func(h *fleet.Host) { h.State = "melting" }, fleet.Request{}, []fleet.RefusalCode{fleet.RefuseVersion}},
		{
			"a silent hypervisor", func(h *fleet.Host) { h.HypervisorFault = "connection refused" },
			fleet.Request{},
			[]fleet.RefusalCode{fleet.RefuseHypervisorUnreachable},
		},
		{"an overfull host, nothing asked", func(h *fleet.Host) { h.Capacity.VCPUs.Free = -3 }, fleet.Request{}, nil},
		{
			"two reasons at once", func(h *fleet.Host) { h.State = fleet.HostDraining },
			fleet.Request{Zone: "b"},
			[]fleet.RefusalCode{fleet.RefuseZone, fleet.RefuseCordoned},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := fittingHost()
			if c.host != nil {
				c.host(&host)
			}
			var got []fleet.RefusalCode
			for _, r := range fleet.Fits(&host, &c.req) {
				got = append(got, r.Code)
				if r.Detail == "" {
					t.Errorf("refusal %s has no sentence", r.Code)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestCapacityRefusalSaysHowMuchWasShort(t *testing.T) {
	host := fittingHost()
	got := fleet.Fits(&host, &fleet.Request{Resources: fleet.Resources{MemoryMiB: 9000}})
	want := []fleet.Refusal{{
		Code: fleet.RefuseCapacity, Resource: "memory_mib", Need: 9000, Free: 3584,
		Detail: "9000 MiB of memory asked, 3584 free",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
}
