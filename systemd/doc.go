// Package systemd holds the units that run Grapevine's daemons, and the test
// that they are well formed and hardened. It has no code.
package systemd
