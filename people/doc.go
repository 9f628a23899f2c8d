// Package people is who may use a fleet: users, their projects and roles, their
// passwords and API keys, what a project may take, and what a token says.
//
// They stand in one file, the same at every registry, so there is nothing to
// keep consistent: a file is read whole or refused whole. What is said here is
// pure; whoever reads the file, checks signatures and serves tokens is elsewhere.
package people
