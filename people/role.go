package people

// Role says what a person may do.
type Role string

// The roles. Admin and Operator are for the whole fleet, Member and Reader for
// one project.
const (
	// Admin does what an operator does, and sees and revokes what others log in by.
	Admin Role = "admin"
	// Operator does what an operator's certificate may do.
	Operator Role = "operator"
	// Member creates and changes what its project has.
	Member Role = "member"
	// Reader sees what its project has.
	Reader Role = "reader"
)

// FleetWide reports whether the role is for the whole fleet.
func (r Role) FleetWide() bool { return r == Admin || r == Operator }

// Known reports whether this release knows the role.
func (r Role) Known() bool { return r.FleetWide() || r == Member || r == Reader }

// rank orders roles by what they may do; 0 for none.
func (r Role) rank() int {
	switch r {
	case Admin:
		return 4
	case Operator:
		return 3
	case Member:
		return 2
	case Reader:
		return 1
	default:
		return 0
	}
}
