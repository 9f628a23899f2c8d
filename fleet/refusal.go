package fleet

import (
	"fmt"
	"slices"
	"strings"
)

// RefusalCode is a typed reason why a host does not take a request.
type RefusalCode string

// The refusal codes. They are stable: clients branch on them.
const (
	RefuseCapacity              RefusalCode = "capacity"
	RefuseCordoned              RefusalCode = "cordoned"
	RefuseMaintenance           RefusalCode = "maintenance"
	RefuseCPU                   RefusalCode = "cpu"
	RefuseStorage               RefusalCode = "storage"
	RefuseNetwork               RefusalCode = "network"
	RefuseAffinity              RefusalCode = "affinity"
	RefuseDuplicate             RefusalCode = "duplicate"
	RefuseVersion               RefusalCode = "version"
	RefuseHypervisorUnreachable RefusalCode = "hypervisor_unreachable"
	RefuseUnreachable           RefusalCode = "unreachable"
	RefuseHypervisor            RefusalCode = "hypervisor"
	RefuseZone                  RefusalCode = "zone"
	RefuseHost                  RefusalCode = "host"
	RefuseImage                 RefusalCode = "image"
	RefuseTrait                 RefusalCode = "trait"
	RefuseLabel                 RefusalCode = "label"
	// RefuseAnchor: the host is the anchor of a strict affinity group, has no
	// member of it, and takes none any more under the attempt that made it that.
	RefuseAnchor RefusalCode = "anchor"
	// RefuseMoved: the host had the instance, which has gone to Host.
	RefuseMoved RefusalCode = "moved"
	// RefuseQuota: the project would have more than it may. No host says so, but a
	// registry.
	RefuseQuota RefusalCode = "quota"
)

// RefusalCodes returns all refusal codes, in the order in which they came to be.
func RefusalCodes() []RefusalCode {
	return []RefusalCode{
		RefuseCapacity, RefuseCordoned, RefuseMaintenance, RefuseCPU, RefuseStorage, RefuseNetwork, RefuseAffinity, RefuseDuplicate, RefuseVersion,
		RefuseHypervisorUnreachable, RefuseUnreachable, RefuseHypervisor, RefuseZone, RefuseHost, RefuseImage, RefuseTrait, RefuseLabel, RefuseAnchor, RefuseMoved, RefuseQuota,
	}
}

// Refusal is one reason why a host does not take a request.
type Refusal struct {
	Code RefusalCode `json:"code"`
	// Resource names what was short: vcpus, memory_mib or disk_gib, of a quota also
	// instances.
	Resource string `json:"resource,omitempty"`
	Need     int64  `json:"need,omitempty"` // in the resource's unit
	Free     int64  `json:"free"`           // in the resource's unit; 0 where Resource is empty
	// Used and Limit are a quota's: what the project has, and may have.
	Used  int64 `json:"used,omitempty"`
	Limit int64 `json:"limit,omitempty"`
	// Detail is one sentence for people.
	Detail string `json:"detail"`
	// Host is, of RefuseMoved, where the instance has gone.
	Host HostID `json:"host,omitzero"`
}

// String returns the sentence.
func (r Refusal) String() string { return r.Detail }

// FindRefusal returns the first of these refusals that has a code.
func FindRefusal(list []Refusal, code RefusalCode) (Refusal, bool) {
	i := slices.IndexFunc(list, func(r Refusal) bool { return r.Code == code })
	if i < 0 {
		return Refusal{}, false
	}
	return list[i], true
}

// Verdict is one host's answer to a request, with every reason it refused.
type Verdict struct {
	Host     HostID    `json:"host"`
	HostName string    `json:"host_name"`
	Fits     bool      `json:"fits"`
	Score    float64   `json:"score,omitempty"` // higher is better; 0 where it does not fit
	Refusals []Refusal `json:"refusals,omitempty"`
	// GroupMembers is how many instances it has of the group that the request is
	// to be in, as the answering node has heard.
	GroupMembers int `json:"group_members,omitempty"`
}

// String names the host and what it lacked.
func (v Verdict) String() string {
	if v.Fits {
		return fmt.Sprintf("%s: fits", v.HostName)
	}
	reasons := make([]string, len(v.Refusals))
	for i, r := range v.Refusals {
		reasons[i] = r.Detail
	}
	return fmt.Sprintf("%s: %s", v.HostName, strings.Join(reasons, "; "))
}

// Explanation is the answer to a dry run: where a request would go and why
// every other host refused.
type Explanation struct {
	// Chosen is zero when no host fits.
	Chosen     HostID `json:"chosen,omitzero"`
	ChosenName string `json:"chosen_name,omitempty"`
	// Strategy is what the answering node chooses by, and the scores are of it.
	Strategy Strategy  `json:"strategy,omitempty"`
	Verdicts []Verdict `json:"verdicts"`
	Coverage Coverage  `json:"coverage"`
}
