package fleet

// Person is on whose behalf something is done, as a registry knows it.
type Person struct {
	User string
	// Project is that of their token, empty for none.
	Project string
}

// String names the person, and the project where there is one.
func (p Person) String() string {
	if p.Project == "" {
		return p.User
	}
	return p.User + " of " + p.Project
}
