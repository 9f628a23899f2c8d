package fleet

import (
	"cmp"
	"slices"
	"strings"
)

// FindingType says what is wrong.
type FindingType string

// The types. Nothing is ever put right by itself: each finding says what to do.
const (
	FindGhost      FindingType = "ghost"       // a row without a machine
	FindUnlisted   FindingType = "unlisted"    // a machine without a row
	FindOrphan     FindingType = "orphan"      // a managed machine that its host's journal says is deleted, or that bears another's mark
	FindTwin       FindingType = "twin"        // an instance that runs at two hosts
	FindWrongHost  FindingType = "wrong_host"  // a copy that another host's supersedes
	FindLeakedDisk FindingType = "leaked_disk" // a disk of ours that belongs to no machine
	FindClaim      FindingType = "claim"       // capacity promised, and no machine that is on its way
	FindNotAsked   FindingType = "not_asked"   // a host that did not answer, so that nobody knows
	FindRegistries FindingType = "registries"  // a registry whose users file or settings are not those of the others
	FindUnchecked  FindingType = "unchecked"   // what a host's hypervisor does not let be looked through
)

// Finding is one thing that is wrong, or that could not be looked at.
type Finding struct {
	Type     FindingType `json:"type"`
	Host     HostID      `json:"host"`
	HostName string      `json:"host_name"`
	Instance InstanceID  `json:"instance,omitzero"`
	What     string      `json:"what"` // one sentence
	Do       string      `json:"do"`   // one sentence: what a person should do
}

// Fault reports whether the finding says that something is wrong or unknown,
// and not only that something cannot be looked at by its nature.
func (f *Finding) Fault() bool { return f.Type != FindUnchecked }

// Verification is what was found when the fleet, or one host, was looked
// through. Its coverage is of the hosts that answered.
type Verification struct {
	Items    []Finding `json:"items"`
	Coverage Coverage  `json:"coverage"`
}

// Faults counts the findings that say that something is wrong or unknown.
func (v *Verification) Faults() int {
	n := 0
	for i := range v.Items {
		if v.Items[i].Fault() {
			n++
		}
	}
	return n
}

// Order sorts the findings by type, host and instance.
func (v *Verification) Order() {
	slices.SortFunc(v.Items, func(a, b Finding) int {
		return cmp.Or(strings.Compare(string(a.Type), string(b.Type)), strings.Compare(a.HostName, b.HostName), a.Instance.Compare(b.Instance), strings.Compare(a.What, b.What))
	})
}
