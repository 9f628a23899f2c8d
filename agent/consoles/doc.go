// Package consoles keeps who sits in front of which machine of a host: tickets
// that open a console once, the consoles that are open, and the logs that are
// being followed. It is in memory alone: after a restart of the agent people ask
// again.
package consoles
