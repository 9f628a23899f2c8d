// Package service is what the services of OpenStack have in common as a front end
// serves them: a table of routes with who may use each, microversions, faults, and
// the headers that clients of all of them look for. Each service is a package
// beside this one.
//
// The wire contract is that of the API references at docs.openstack.org/api-ref, the
// microversions that of the API special interest group's guideline
// (specs.openstack.org/openstack/api-sig, microversion_specification).
package service
