package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"grapevine/identity"
	"grapevine/registry"
)

func (a *app) registryCommand() *cobra.Command {
	config := registry.Default()
	return a.daemonCommand(&cobra.Command{Use: "registry", Short: "Run a registry: it answers the API for the whole fleet and keeps nothing"}, &config, registryConfigFile,
		func(ctx context.Context) error { return a.runRegistry(ctx, &config) })
}

func (a *app) runRegistry(ctx context.Context, c *registry.Config) error {
	if err := c.Validate(); err != nil {
		return err
	}
	log, err := a.logger(c.LogLevel)
	if err != nil {
		return err
	}
	files := identity.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}
	own, err := a.own(nodeFiles{Files: files, gossipKey: c.GossipKeyFile, fleet: c.Fleet, caCert: c.CACertFile, caKey: c.CAKeyFile}, identity.Registry)
	if err != nil {
		return err
	}
	through, err := joinFrom(c.JoinFile)
	if err != nil {
		return err
	}
	c.Join = append(c.Join, through...)
	node, err := registry.New(*c, registry.Deps{Credentials: own, Log: log, FrontEnds: a.frontEnds})
	if err != nil {
		return err
	}
	addr, secured := "http://"+node.Addr(), (*identity.Identity)(nil)
	if c.ListenTLS {
		addr, secured = "https://"+node.Addr(), own.Identity
	}
	ready, stop := context.WithCancel(ctx)
	defer stop()
	told := make(chan struct{})
	go func() {
		defer close(told)
		if waitReady(ready, node.Ready) == nil {
			tellReady(log, "registry", node.Addr())
		}
	}()
	err = a.watched(ctx, log, addr, secured, node.Run)
	stop()
	<-told
	return err
}

// readyEvery is how often a registry that starts is asked whether it is ready.
const readyEvery = 50 * time.Millisecond

// waitReady blocks until ready returns nil or ctx ends.
func waitReady(ctx context.Context, ready func() error) error {
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}
