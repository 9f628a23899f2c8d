package cli

import (
	"github.com/spf13/cobra"

	"grapevine/internal/buildinfo"
)

func (a *app) versionCommand() []*cobra.Command {
	return []*cobra.Command{{
		Use: "version", Short: "Print which build this is", Args: takes(),
		RunE: func(*cobra.Command, []string) error {
			info := buildinfo.Get()
			return a.print(info, func() written { return line("grapevine " + info.String()) })
		},
	}}
}
