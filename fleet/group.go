package fleet

import (
	"fmt"
	"strings"
	"time"
)

// GroupPolicy says how the members of a server group lie on hosts.
type GroupPolicy string

// The policies. The strict ones are kept by the hosts, whatever races and
// breaks; the soft ones are a wish that placement has.
const (
	// AntiAffinity: at most one member on a host.
	AntiAffinity GroupPolicy = "anti-affinity"
	// Affinity: all members on one host, the group's anchor.
	Affinity GroupPolicy = "affinity"
	// SoftAntiAffinity: on the hosts that have fewest members.
	SoftAntiAffinity GroupPolicy = "soft-anti-affinity"
	// SoftAffinity: on the hosts that have most members.
	SoftAffinity GroupPolicy = "soft-affinity"
)

// GroupPolicies lists the policies in the order people read them.
func GroupPolicies() []GroupPolicy {
	return []GroupPolicy{AntiAffinity, Affinity, SoftAntiAffinity, SoftAffinity}
}

// Validate judges a policy.
func (p GroupPolicy) Validate() error {
	switch p {
	case AntiAffinity, Affinity, SoftAntiAffinity, SoftAffinity:
		return nil
	default:
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("policy %.40q is not one of anti-affinity, affinity, soft-anti-affinity, soft-affinity", string(p))}
	}
}

// GroupID names a server group. It is drawn when the group is made.
type GroupID = UUID

// Group is a server group: instances that belong together, or apart. It is
// made by one record and ended by another, and never changes in between.
type Group struct {
	ID        GroupID     `json:"id"`
	Name      string      `json:"name"`
	Project   string      `json:"project"`
	Policy    GroupPolicy `json:"policy"`
	CreatedAt time.Time   `json:"created_at"` // by its acceptor's wall clock, for people only
	By        string      `json:"by"`
	// Instances is how many members the answering node has heard of.
	Instances int `json:"instances"`
	// Members are listed where one group is asked for, by name and then id.
	Members []GroupMember `json:"members,omitempty"`
}

// GroupMember is an instance of a group, and where it is.
type GroupMember struct {
	Instance InstanceID `json:"instance"`
	Name     string     `json:"name"`
	Host     HostID     `json:"host"`
	HostName string     `json:"host_name"`
}

// GroupOf reads a group off the record that made it.
func GroupOf(r *Record) Group {
	return Group{ID: r.Subject, Name: r.Name, Project: r.Project, Policy: r.Policy, CreatedAt: r.AcceptedAt, By: r.By}
}

// CreateGroup asks for a group: the body of POST /v1/groups.
type CreateGroup struct {
	Name    string      `json:"name"`
	Project string      `json:"project,omitempty" doc:"default when empty"`
	Policy  GroupPolicy `json:"policy" enum:"anti-affinity,affinity,soft-anti-affinity,soft-affinity"`
	PassedOn
}

// PassedOn is what a registry adds to a request for an object, and nobody else
// may: the id that it drew, so that the same request at the next agent makes no
// second object, and who asked.
type PassedOn struct {
	ID UUID   `json:"id,omitzero" doc:"set by a registry that passes a request on; nobody else may"`
	By string `json:"by,omitempty" doc:"set by a registry that passes a request on; nobody else may"`
}

// Validate judges what a person sent.
func (c *CreateGroup) Validate() error {
	if err := checkObject(c.Name, c.Project); err != nil {
		return err
	}
	return c.Policy.Validate()
}

// checkObject judges what groups and key pairs have in common.
func checkObject(name, project string) error {
	if err := CheckName("name", name); err != nil {
		return err
	}
	if _, err := ParseUUID(name); err == nil {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("name %s has the form of an id; use another one", name)}
	}
	if strings.Contains(name, "/") {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("name %.80q has a /, which cannot stand in a path; use another one", name)}
	}
	if project == "" {
		return nil
	}
	return CheckName("project", project)
}

// Grouping is what a machine's mark says of the group that it is in; zero for
// none. The policy is there because the host judges by it, and holds no copy of
// the record.
type Grouping struct {
	ID     GroupID     `json:"id"`
	Policy GroupPolicy `json:"policy"`
}

// IsZero reports whether there is no group.
func (g Grouping) IsZero() bool { return g == Grouping{} }

// Joining is what a request says of the group that its instance is to be in.
type Joining struct {
	Grouping
	// Anchor is the host that all members of a strict affinity group are on, and
	// AnchorAttempt the attempt under which it was made that: see AnchorKey.
	Anchor        HostID `json:"anchor,omitzero"`
	AnchorAttempt uint32 `json:"anchor_attempt,omitempty"`
	// Members is how many members each host has, the instance itself not counted.
	// It is never sent: who judges the request fills in what it knows.
	Members map[HostID]int `json:"-"`
}

// IsZero reports whether there is no group.
func (j Joining) IsZero() bool { return j.Grouping.IsZero() }

// anchorSpace is the name space of the keys of anchors.
var anchorSpace = UUID{0x61, 0x6e, 0x63, 0x68, 0x67, 0x72, 0x61, 0x70, 0x65, 0x76, 0x69, 0x6e, 0x65}

// AnchorHash stands, in the key of an anchor, where an instance's has the hash of
// a request: the SHA-256 of the word anchor.
const AnchorHash = "79bfb0e2ba76b9d447606ddbcc494834f05a4c11deb052e74b49ea307a3c5bcd"

// AnchorKey is the key under which a strict affinity group's one host is
// granted: a key of the fleet like an instance's, which holds a host.
func AnchorKey(group GroupID) UUID { return NewUUIDv5(anchorSpace, group.String()) }

// validate judges what a request says of a group.
func (j *Joining) validate() error {
	if j.IsZero() {
		return nil
	}
	if j.ID.IsZero() {
		return &Error{Code: CodeInvalid, Detail: "the request names a policy and no group"}
	}
	if err := j.Policy.Validate(); err != nil {
		return err
	}
	if j.Policy == Affinity && (j.Anchor.IsZero() || j.AnchorAttempt == 0) {
		return &Error{Code: CodeInvalid, Detail: fmt.Sprintf("the request joins affinity group %s and names no anchor", j.ID)}
	}
	return nil
}

// refusals is what Fits says of a group: with the members and the anchor that
// whoever judges has filled in.
func (j *Joining) refusals(host HostID) []Refusal {
	switch n := j.Members[host]; {
	case j.Policy == AntiAffinity && n > 0:
		return []Refusal{{Code: RefuseAffinity, Detail: fmt.Sprintf("it has an instance of anti-affinity group %s already", j.ID)}}
	case j.Policy == Affinity && !j.Anchor.IsZero() && j.Anchor != host:
		return []Refusal{{Code: RefuseAffinity, Detail: fmt.Sprintf("the instances of affinity group %s are on host %s", j.ID, j.Anchor)}}
	default:
		return nil
	}
}
