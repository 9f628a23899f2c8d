package cli

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// group is a command that only holds others. Called with a word that is none
// of them, it is a usage error; called with nothing, it explains itself.
func group(use, short string, children ...[]*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, DisableAutoGenTag: true,
		Args: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			hint := ""
			if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
				hint = fmt.Sprintf("; did you mean %s?", strings.Join(near, " or "))
			}
			return usage(cmd, "unknown command %q%s", visible(args[0]), hint)
		},
	}
	cmd.SuggestionsMinimumDistance = 2
	cmd.AddCommand(slices.Concat(children...)...)
	return cmd
}

// takes names the arguments a command must have; a last one that ends in "..."
// may be repeated.
func takes(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		many := len(names) > 0 && strings.HasSuffix(names[len(names)-1], "...")
		switch {
		case len(args) < len(names):
			return usage(cmd, "%s is missing", strings.TrimSuffix(names[len(args)], "..."))
		case len(args) > len(names) && !many:
			return usage(cmd, "unexpected argument %q", visible(args[len(names)]))
		default:
			return nil
		}
	}
}

// need refuses a command without one of its flags.
func need(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if !cmd.Flags().Changed(name) {
			return usage(cmd, "--%s is missing", name)
		}
	}
	return nil
}

// pairsOf shows labels, in order.
func pairsOf(labels map[string]string) string {
	pairs := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, " ")
}

// labels reads the key=value pairs of a flag.
func labels(cmd *cobra.Command, flag string, pairs []string) (map[string]string, error) {
	out := map[string]string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usage(cmd, "--%s %q is not of the form key=value", flag, visible(pair))
		}
		out[key] = value
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}
