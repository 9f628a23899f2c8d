// Package drivertest is the one conformance suite of all drivers. A driver
// conforms when Run passes on a Harness that makes the driver and acts on its
// hypervisor behind its back.
//
// The suite takes the hypervisor as it finds it: machines that are there
// before are left alone, and each case removes what it made. A case is left
// out only where the driver does not declare the Feature it is about; the
// table of features is logged at the end.
package drivertest
