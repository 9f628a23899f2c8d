package fleet

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Fits returns every reason why host does not take the request, none when it
// does. It is the only rule of admission: placement asks it of its copy of the
// host's row, and the host asks it again, of the truth, before it promises.
func Fits(host *Host, req *Request) []Refusal {
	var out []Refusal
	refuse := func(code RefusalCode, format string, args ...any) {
		out = append(out, Refusal{Code: code, Detail: fmt.Sprintf(format, args...)})
	}
	if !req.Host.IsZero() && req.Host != host.ID {
		refuse(RefuseHost, "host %s was asked for", req.Host)
	}
	if req.Hypervisor != "" && req.Hypervisor != host.Hypervisor {
		refuse(RefuseHypervisor, "it runs %s, %s was asked for", host.Hypervisor, req.Hypervisor)
	}
	if req.Zone != "" && req.Zone != host.Zone {
		refuse(RefuseZone, "it is in zone %q, %q was asked for", host.Zone, req.Zone)
	}
	if !host.HasLabels(req.HostLabels) {
		out = append(out, missingLabels(host, req.HostLabels)...)
	}
	switch host.State {
	case HostOK:
	case HostCordoned, HostDraining, HostQuarantined:
		refuse(RefuseCordoned, "it is %s", host.State)
	case HostMaintenance:
		refuse(RefuseMaintenance, "it is in maintenance mode at its hypervisor")
	default:
		refuse(RefuseVersion, "its state %q is not known here", host.State)
	}
	if host.HypervisorFault != "" {
		refuse(RefuseHypervisorUnreachable, "its hypervisor does not answer: %s", host.HypervisorFault)
	}
	for _, trait := range req.Traits {
		switch {
		case host.HasTrait(trait):
		case strings.HasPrefix(trait, TraitCPUPrefix):
			refuse(RefuseCPU, "guests on it find no processor with %s", strings.TrimPrefix(trait, TraitCPUPrefix))
		default:
			refuse(RefuseTrait, "it cannot do %s", trait)
		}
	}
	if host.HasTrait(TraitStorageFull) {
		refuse(RefuseStorage, "its storage is full")
	}
	for _, nic := range req.Networks {
		if nic.Network != NoNetwork && !host.HasNetwork(nic.Network) {
			refuse(RefuseNetwork, "it has no network %q", nic.Network)
		}
	}
	switch {
	case req.Image == "", host.HoldsImage(req.Image):
	case req.Obtain == "":
		refuse(RefuseImage, "it does not hold image %.12s, and no host that could give it can be heard", req.Image)
	case !host.HasTrait(req.Obtain):
		refuse(RefuseImage, "it does not hold image %.12s, and takes none of its kind from another host (it has no %s)", req.Image, req.Obtain)
	}
	out = append(out, req.Group.refusals(host.ID)...)
	free := host.Capacity.Free()
	out = short(out, "vcpus", "vCPUs", req.VCPUs, free.VCPUs)
	out = short(out, "memory_mib", "MiB of memory", req.MemoryMiB, free.MemoryMiB)
	out = short(out, "disk_gib", "GiB of disk", req.DiskGiB, free.DiskGiB)
	return out
}

// missingLabels returns a refusal for each label that the host has not, or has
// with another value.
func missingLabels(host *Host, asked map[string]string) []Refusal {
	var out []Refusal
	for _, key := range slices.Sorted(maps.Keys(asked)) {
		got, ok := host.Labels[key]
		switch {
		case !ok:
			out = append(out, Refusal{Code: RefuseLabel, Detail: fmt.Sprintf("it has no label %q, %q was asked for", key, asked[key])})
		case got != asked[key]:
			out = append(out, Refusal{Code: RefuseLabel, Detail: fmt.Sprintf("its label %q is %q, %q was asked for", key, got, asked[key])})
		}
	}
	return out
}

// short adds a capacity refusal when need exceeds free. Nothing asked is
// nothing refused, also on an overfull host.
func short(out []Refusal, resource, unit string, need, free int64) []Refusal {
	if need <= 0 || need <= free {
		return out
	}
	return append(out, Refusal{
		Code: RefuseCapacity, Resource: resource, Need: need, Free: free,
		Detail: fmt.Sprintf("%d %s asked, %d free", need, unit, max(free, 0)),
	})
}
