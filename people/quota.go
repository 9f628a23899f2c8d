package people

import (
	"fmt"

	"grapevine/fleet"
)

// Taken is what a project has, or what is asked for it.
type Taken struct {
	Instances int64
	fleet.Resources
}

// Add counts more.
func (t *Taken) Add(o Taken) {
	t.Instances += o.Instances
	t.VCPUs += o.VCPUs
	t.MemoryMiB += o.MemoryMiB
	t.DiskGiB += o.DiskGiB
}

type limit struct {
	resource string
	most     *int64
	of       func(*Taken) int64
}

// limits lists what is limited, in the order in which it is told.
func (q *Quota) limits() []limit {
	return []limit{
		{"instances", q.Instances, func(t *Taken) int64 { return t.Instances }},
		{"vcpus", q.VCPUs, func(t *Taken) int64 { return t.VCPUs }},
		{"memory_mib", q.MemoryMiB, func(t *Taken) int64 { return t.MemoryMiB }},
		{"disk_gib", q.DiskGiB, func(t *Taken) int64 { return t.DiskGiB }},
	}
}

// Unlimited reports whether there is nothing to count.
func (q *Quota) Unlimited() bool {
	return q.Instances == nil && q.VCPUs == nil && q.MemoryMiB == nil && q.DiskGiB == nil
}

// Fits returns a refusal for each resource of which more is asked than is left. Of what
// is not asked there may be too much already.
func (q *Quota) Fits(project string, used, asked Taken) []fleet.Refusal {
	var out []fleet.Refusal
	for _, l := range q.limits() {
		if l.most == nil || l.of(&asked) <= 0 || l.of(&used)+l.of(&asked) <= *l.most {
			continue
		}
		out = append(out, fleet.Refusal{
			Code: fleet.RefuseQuota, Resource: l.resource, Need: l.of(&asked), Free: max(*l.most-l.of(&used), 0), Used: l.of(&used), Limit: *l.most,
			Detail: fmt.Sprintf("project %q has %d of at most %d %s, and %d more are asked for: %d too many",
				project, l.of(&used), *l.most, l.resource, l.of(&asked), l.of(&used)+l.of(&asked)-*l.most),
		})
	}
	return out
}

// ByResource returns what is limited, by resource.
func (q *Quota) ByResource() map[string]int64 {
	out := map[string]int64{}
	for _, l := range q.limits() {
		if l.most != nil {
			out[l.resource] = *l.most
		}
	}
	return out
}

// Take counts less.
func (t *Taken) Take(o Taken) {
	t.Instances -= o.Instances
	t.VCPUs -= o.VCPUs
	t.MemoryMiB -= o.MemoryMiB
	t.DiskGiB -= o.DiskGiB
}

// AtLeast makes each part at least that of the other.
func (t *Taken) AtLeast(o Taken) {
	t.Instances = max(t.Instances, o.Instances)
	t.VCPUs = max(t.VCPUs, o.VCPUs)
	t.MemoryMiB = max(t.MemoryMiB, o.MemoryMiB)
	t.DiskGiB = max(t.DiskGiB, o.DiskGiB)
}

// ByResource returns what there is, by resource.
func (t *Taken) ByResource() map[string]int64 {
	out := map[string]int64{}
	for _, l := range (&Quota{}).limits() {
		out[l.resource] = l.of(t)
	}
	return out
}
