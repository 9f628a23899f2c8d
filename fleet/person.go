package fleet

import "context"

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

type personKey struct{}

// WithPerson returns a context of what is done on somebody's behalf.
func WithPerson(ctx context.Context, p Person) context.Context {
	return context.WithValue(ctx, personKey{}, p)
}

// PersonIn returns on whose behalf something is done; zero for nobody's.
func PersonIn(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}
