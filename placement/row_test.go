package placement

import (
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"grapevine/fleet"
)

// unjudged are the fields at which neither Judge nor Score nor a verdict looks,
// and which the index does not keep of an open host.
var unjudged = []string{
	"HypervisorVersion", "ReachabilitySince", "Instances", "API", "AgentVersion", "Hardware",
	"HypervisorFaultSince", "ObservedAt", "AgeMS", "StateReason", "Follows", "Witnesses", "Audit",
	"DeclaredDead", // such a host is given to the index as one that cannot be heard
}

// TestIndexKeepsEveryFieldThatMayBeJudged fails when hosts get a field of which
// nobody has said whether fleet.Fits looks at it.
func TestIndexKeepsEveryFieldThatMayBeJudged(t *testing.T) {
	host := fleet.Host{
		ID: numbered(1), Name: "a", Zone: "z", Hypervisor: fleet.KVM, State: fleet.HostOK, Reachability: fleet.ReachOK,
		Capacity: fleet.NewCapacity(fleet.Resources{VCPUs: 9, MemoryMiB: 8, DiskGiB: 7}, fleet.Resources{}, fleet.Resources{}),
		Labels:   map[string]string{"k": "v"},
		Traits:   []string{"t"}, Networks: []string{"n"}, Images: []string{"i"}, HypervisorFault: "refused",
		Version: fleet.Version{Host: numbered(1), Epoch: 2, Seq: 3},
	}
	var r row
	r.set(&host)
	k := kindOf(&host)
	var got fleet.Host
	assemble(&got, &r, &k)
	if diff := cmp.Diff(host, got); diff != "" {
		t.Errorf("the host changed on its way through the index (-want +got):\n%s", diff)
	}
	for fields, i := reflect.ValueOf(got), 0; i < fields.NumField(); i++ {
		name := fields.Type().Field(i).Name
		if kept := !fields.Field(i).IsZero(); kept == slices.Contains(unjudged, name) {
			t.Errorf("field %s of a host is kept by the index: %v; say here whether it may be judged", name, kept)
		}
	}
}

// TestVerdictsAreThoseOfTheWholeRows, whatever has changed before.
func TestVerdictsAreThoseOfTheWholeRows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, held := NewIndex(nil), map[int]fleet.Host{}
		for range rapid.IntRange(1, 12).Draw(t, "updates") {
			n := rapid.IntRange(0, 4).Draw(t, "n")
			host := drawRow(t, n)
			host.Version.Seq = rapid.Uint64Range(1, 3).Draw(t, "seq")
			x.Update(&host)
			if known, ok := held[n]; ok && known.Version.Seq > host.Version.Seq {
				known.Reachability = host.Reachability
				host = known
			}
			held[n] = host
		}
		var hosts []fleet.Host
		for _, host := range held {
			hosts = append(hosts, host)
		}
		req := &fleet.Request{Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 1 << 19, DiskGiB: 1}, Zone: "x", Traits: []string{"b"}, Image: "j", HostLabels: map[string]string{"k": "v"}}
		for _, how := range []fleet.Strategy{fleet.Spread, fleet.Pack} {
			if diff := cmp.Diff(Explain(hosts, req, how), x.Verdicts(req, how, nil)); diff != "" {
				t.Fatalf("%s: verdicts (-want +got):\n%s", how, diff)
			}
			if diff := cmp.Diff(Explain(hosts, &anything, how), x.Verdicts(&anything, how, nil)); diff != "" {
				t.Fatalf("%s, of nothing: verdicts (-want +got):\n%s", how, diff)
			}
		}
	})
}
