// Package openstack has clients of OpenStack that others wrote, unmodified, work with
// a whole fleet on simulated hypervisors, as grapevine dev serves it.
package openstack
