package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) flavorCommand() []*cobra.Command {
	return []*cobra.Command{group("flavor", "The named sizes of instances", []*cobra.Command{
		{Use: "list", Short: "List the flavors", Aliases: []string{"ls"}, Args: takes(), RunE: a.flavorList},
		{Use: "show FLAVOR", Short: "Show one flavor", Args: takes("FLAVOR"), RunE: a.flavorShow},
	})}
}

func (a *app) flavors(cmd *cobra.Command) (fleet.List[fleet.Flavor], error) {
	node, err := a.node(cmd.Context())
	if err != nil {
		return fleet.List[fleet.Flavor]{}, err
	}
	return node.Flavors(cmd.Context())
}

func (a *app) flavorList(cmd *cobra.Command, _ []string) error {
	flavors, err := a.flavors(cmd)
	if err != nil {
		return err
	}
	return a.print(flavors, func() written { return flavorTable(flavors.Items) })
}

func flavorTable(flavors []fleet.Flavor) *table {
	t := &table{columns: []column{{title: "NAME"}, {title: "VCPUS", right: true}, {title: "MEMORY", right: true}, {title: "DISK", right: true}}}
	for _, f := range flavors {
		t.add(text(f.Name), number(f.VCPUs), text(memory(f.MemoryMiB)), text(flavorDisk(f.DiskGiB)))
	}
	return t
}

// flavorDisk says what disk a flavor brings: none means the image's own size.
func flavorDisk(gib int64) string {
	if gib == 0 {
		return "image's"
	}
	return disk(gib)
}

func (a *app) flavorShow(cmd *cobra.Command, args []string) error {
	flavors, err := a.flavors(cmd)
	if err != nil {
		return err
	}
	for _, f := range flavors.Items {
		if f.Name == args[0] {
			return a.print(f, func() written { return flavorTable([]fleet.Flavor{f}) })
		}
	}
	return &fleet.Error{Code: fleet.CodeUnknownFlavor, Detail: fmt.Sprintf("no flavor is called %q; list them with: grapevine flavor list", args[0])}
}
