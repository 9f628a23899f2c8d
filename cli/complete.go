package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

// patience is how long a shell may be kept waiting for names.
const patience = 2 * time.Second

func (a *app) completeFormats(root *cobra.Command) {
	err := root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag is not there: a programmer's mistake
	}
}

func (a *app) completeHosts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	node, err := a.node(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	hosts, err := node.Hosts(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, h := range hosts.Items {
		names = append(names, h.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeInstances(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	node, err := a.node(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	page, err := node.Instances(ctx, fleet.InstanceQuery{})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, row := range page.Items {
		names = append(names, row.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeMembers(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	node, err := a.node(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	members, err := node.Members(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, m := range members.Items {
		names = append(names, m.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) completeKeys(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), patience)
	defer cancel()
	node, err := a.node(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	report, err := node.GossipKeys(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var prints []string
	for _, k := range report.Keys {
		prints = append(prints, k.Fingerprint)
	}
	return prints, cobra.ShellCompDirectiveNoFileComp
}
