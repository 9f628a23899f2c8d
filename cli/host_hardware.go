package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) hostHardware(cmd *cobra.Command, args []string) error {
	node, host, err := a.host(cmd, args[0])
	if err != nil {
		return err
	}
	hw, err := node.Hardware(cmd.Context(), host.ID)
	if err != nil {
		return err
	}
	return a.print(hw, func() written { return hardwareSheet(host.Name, &hw) })
}

// hardwareSheet has a line for each thing, and a label for the first of a kind.
func hardwareSheet(name string, hw *fleet.Hardware) *sheet {
	s := &sheet{}
	s.line("host", text(name))
	s.line("cpu", text(hw.CPU.Model))
	if hw.CPU.Sockets > 0 {
		s.line("topology", text(fmt.Sprintf("%s of %s, each with %s",
			plural(hw.CPU.Sockets, "socket"), plural(hw.CPU.Cores, "core"), plural(hw.CPU.Threads, "thread"))))
	}
	s.line("flags", text(strings.Join(hw.CPU.Flags, " ")))
	each(s, "numa", hw.NUMA, func(c fleet.NUMACell) string {
		return fmt.Sprintf("%d  %s, %s", c.ID, plural(c.CPUs, "logical CPU"), memory(c.MemoryMiB))
	})
	each(s, "pools", hw.Pools, func(p fleet.StoragePool) string {
		if !p.Active {
			return fmt.Sprintf("%s  %s, not started", p.Name, p.Type)
		}
		return fmt.Sprintf("%s  %s, %s free of %s", p.Name, p.Type, disk(p.FreeGiB), disk(p.TotalGiB))
	})
	each(s, "networks", hw.Networks, func(n fleet.HostNetwork) string {
		if !n.Active {
			return fmt.Sprintf("%s  %s, not started", n.Name, n.Type)
		}
		return fmt.Sprintf("%s  %s", n.Name, n.Type)
	})
	each(s, "devices", hw.Devices, func(d fleet.HostDevice) string {
		line := fmt.Sprintf("%s  %s, %s", d.Address, d.Kind, d.Name)
		if d.VirtualFunctions > 0 {
			line += fmt.Sprintf(", %s", plural(d.VirtualFunctions, "virtual function"))
		}
		return line
	})
	return s
}

// each adds a line for each item, the first of them labelled.
func each[T any](s *sheet, label string, items []T, show func(T) string) {
	if len(items) == 0 {
		s.line(label, text(""))
	}
	for _, item := range items {
		s.line(label, text(show(item)))
		label = ""
	}
}
