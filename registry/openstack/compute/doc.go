// Package compute is OpenStack's Compute API v2.1, microversion 2.1, over the core:
// servers, flavors, key pairs, availability zones, hypervisors and services.
// docs/openstack.md lists what is there and what is not.
//
// Flavors are those of the registry, and their ids are their names. A server's
// metadata are the instance's labels, but for those that begin with "openstack.",
// in which the front end keeps who made the server and by which key pair.
package compute
