// Grapevine runs virtual machines on a fleet of hypervisor hosts without a
// central database or message bus. This is its one binary: agent, registry and
// command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"grapevine/cli"
	"grapevine/registry/openstack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, openstack.FrontEnd())
	stop()
	os.Exit(code)
}
