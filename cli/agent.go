package cli

import (
	"context"

	"github.com/spf13/cobra"

	"grapevine/agent"
	"grapevine/identity"
)

// agentConfig is agent.toml: the agent's own keys and those of its driver.
type agentConfig struct {
	agent.Config
	driverConfig
}

func defaultAgent() *agentConfig { return &agentConfig{agent.Default(), defaultDriver()} }

func (a *app) agentCommand() *cobra.Command {
	config := defaultAgent()
	return a.daemonCommand(&cobra.Command{Use: "agent", Short: "Run the agent of a host"}, config, agentConfigFile,
		func(ctx context.Context) error { return a.runAgent(ctx, config) })
}

func (a *app) runAgent(ctx context.Context, c *agentConfig) error {
	if err := c.Validate(); err != nil {
		return err
	}
	log, err := a.logger(c.LogLevel)
	if err != nil {
		return err
	}
	files := identity.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}
	own, err := a.own(nodeFiles{Files: files, gossipKey: c.GossipKeyFile, fleet: c.Fleet, caCert: c.CACertFile, caKey: c.CAKeyFile}, identity.Agent)
	if err != nil {
		return err
	}
	through, err := joinFrom(c.JoinFile)
	if err != nil {
		return err
	}
	c.Join = append(c.Join, through...)
	driver, err := c.open(log)
	if err != nil {
		return err
	}
	var node *agent.Agent
	node, err = agent.New(ctx, c.Config, agent.Deps{
		Driver: driver, Credentials: own, Log: log,
		Ready: func() { tellReady(log, "agent", node.Addr()) },
	})
	if err != nil {
		return err
	}
	return a.watched(ctx, log, "https://"+node.Addr(), own.Identity, node.Run)
}
