package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"grapevine/dev"
)

func (a *app) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a whole fleet in this process: simulated hypervisors, real everything else", Args: takes(),
		Long: "Run a whole fleet in this process: agents on simulated KVM, Xen and ESXi hosts, and one registry. Only the hypervisors\n" +
			"are simulated. It ends with Ctrl-C and leaves nothing behind.",
	}
	config := dev.Config{FrontEnds: a.frontEnds}
	var level string
	cmd.Flags().IntVar(&config.Hosts, "hosts", 6, fmt.Sprintf("how many hosts, 1 to %d", dev.MaxHosts))
	cmd.Flags().StringVar(&config.Listen, "listen", "127.0.0.1:7948", "address of the registry, on loopback")
	cmd.Flags().StringVar(&level, "log-level", "error", "debug, info, warn or error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if config.Log, err = a.logger(level); err != nil {
			return usage(cmd, "%v", err)
		}
		return a.runDev(cmd.Context(), config)
	}
	return cmd
}

func (a *app) runDev(ctx context.Context, config dev.Config) error {
	began := time.Now()
	f, err := dev.New(ctx, config)
	if err != nil {
		return err
	}
	living, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() { ended <- f.Run(living) }()
	select {
	case err := <-ended:
		return err
	case <-f.Ready():
	}
	if err := a.welcome(f.Addr(), config.Hosts, time.Since(began)); err != nil {
		end()
		return errors.Join(err, <-ended)
	}
	err = <-ended
	a.note("the fleet has ended, and left nothing behind")
	return err
}

// welcome says where the fleet is and what to try. Where the address is not
// the usual one, each command says it.
func (a *app) welcome(addr string, hosts int, took time.Duration) error {
	prefix := ""
	if "http://"+addr != a.defaultAddr {
		prefix = "GRAPEVINE_ADDR=http://" + addr + " "
	}
	_, err := fmt.Fprintf(a.out, `%s and a registry are ready after %.1f s; the API is at http://%s
Try, in another terminal:

  %[4]sbin/grapevine host list
  %[4]sbin/grapevine instance create --name web --flavor tiny --image tiny --wait 30s
  %[4]sbin/grapevine instance list
  %[4]sbin/grapevine placement explain --flavor large --image tiny --hypervisor xen

The users %[5]s and %[6]s have the password %[7]q. For clients of OpenStack:

  . <(%[4]sbin/grapevine openstack openrc --user %[6]s)

Ctrl-C ends it all.
`, plural(hosts, "host"), took.Seconds(), addr, prefix, dev.Admin, dev.Member, dev.Password)
	return err
}
