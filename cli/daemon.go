package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/identity"
	"grapevine/internal/footprint"
	"grapevine/internal/notify"
	"grapevine/internal/settings"
)

// The configurations that are read when no other is named and they are there.
const (
	agentConfigFile    = "/etc/grapevine/agent.toml"
	registryConfigFile = "/etc/grapevine/registry.toml"
)

// environment is what the variables of all keys begin with.
const environment = "GRAPEVINE"

// daemonCommand is a command that runs a daemon: each key of its configuration
// is a flag. Defaults is filled from file, variables and flags before start.
func (a *app) daemonCommand(cmd *cobra.Command, defaults any, file string, start func(context.Context) error) *cobra.Command {
	keys := settings.For(defaults, environment)
	var path string
	var check, example bool
	cmd.Args = takes()
	cmd.Flags().StringVar(&path, "config", "", "configuration file (default "+file+", if it is there)")
	cmd.Flags().BoolVar(&check, "check-config", false, "print the configuration as it was understood, and end")
	cmd.Flags().BoolVar(&example, "example-config", false, "print a configuration that explains every key, at its default, and end")
	for _, k := range keys.Keys() {
		if k.FileOnly {
			continue
		}
		flag := cmd.Flags().VarPF(k, k.Flag(), "", k.Help+" ($"+keys.Env(k)+")")
		if k.Type() == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if example {
			_, err := io.WriteString(a.out, exampleConfig(cmd.Name(), file, keys))
			return err
		}
		if err := a.load(keys, path, file); err != nil {
			return err
		}
		if check {
			return a.printSettings(keys)
		}
		return start(cmd.Context())
	}
	return cmd
}

// exampleConfig is a configuration file to begin with.
func exampleConfig(daemon, file string, keys *settings.Set) string {
	return fmt.Sprintf("# %s: the %s of Grapevine. Every key is here, commented out at its\n"+
		"# default; take the sign away to change it. grapevine %s --check-config prints what\n"+
		"# was understood, and grapevine doctor whether this machine is ready for it.\n", file, daemon, daemon) + keys.Example()
}

// load reads a configuration: the named file, or the usual one if it is there.
func (a *app) load(keys *settings.Set, named, usual string) error {
	path := named
	if path == "" {
		if _, err := os.Stat(usual); err == nil {
			path = usual
		}
	}
	return keys.Load(path, a.lookup)
}

// printSettings shows every key, what it holds and its variable.
func (a *app) printSettings(keys *settings.Set) error {
	values := map[string]string{}
	t := &table{columns: []column{{title: "KEY"}, {title: "VALUE"}, {title: "VARIABLE"}}}
	for _, k := range keys.Keys() {
		if k.FileOnly {
			continue
		}
		values[k.Name] = k.Current()
		t.add(text(k.Name), text(k.Current()), cell{keys.Env(k), faint})
	}
	return a.print(values, func() written { return t })
}

// logger writes to stderr, where systemd's journal and people read it. What
// libraries log by themselves goes the same way.
func (a *app) logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("log_level is %q; it must be debug, info, warn or error", level)
	}
	log := slog.New(slog.NewTextHandler(a.errOut, &slog.HandlerOptions{Level: l}))
	slog.SetDefault(log)
	return log, nil
}

// startOver is how long after its start a daemon gives back the memory that only
// the start needed.
const startOver = 30 * time.Second

// watched runs a daemon, feeds systemd's watchdog for as long as the daemon
// answers at its own address, and keeps small what it takes of the machine.
func (a *app) watched(ctx context.Context, log *slog.Logger, addr string, id *identity.Identity, run func(context.Context) error) error {
	opts := client.Options{UserAgent: "watchdog"}
	if id != nil {
		opts.TLS = id.ClientTLS(id.Subject().ID, "http/1.1")
	}
	node, err := client.New(addr, opts)
	if err != nil {
		return err
	}
	defer node.Close()
	watching, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- notify.Watch(watching, node.Healthy) }()
	stopping := context.AfterFunc(ctx, func() {
		if err := notify.Stopping(); err != nil {
			log.Warn("systemd was not told of the end", "error", err)
		}
	})
	defer stopping()
	trimming := time.AfterFunc(startOver, func() {
		if err := footprint.Trim(); err != nil {
			log.Warn("memory of the start was not given back", "error", err)
		}
	})
	defer trimming.Stop()
	var sparing sync.WaitGroup
	sparing.Go(func() { footprint.Processors(watching) })
	err = run(ctx)
	stop()
	sparing.Wait()
	if lost := <-ended; lost != nil {
		log.Warn("systemd's watchdog was not fed", "error", lost)
	}
	return err
}

// tellReady tells systemd, and whoever reads the log.
func tellReady(log *slog.Logger, what, addr string) {
	log.Info("ready", "serves", what, "addr", addr)
	if err := notify.Ready("serving on " + addr); err != nil {
		log.Warn("systemd was not told of the start", "error", err)
	}
}
