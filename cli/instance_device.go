package cli

import (
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) instanceDevice() *cobra.Command {
	list := &cobra.Command{
		Use: "list INSTANCE", Short: "List the disks, network cards and CDs of an instance", Aliases: []string{"ls"}, Args: takes("INSTANCE"),
		RunE: a.deviceList, ValidArgsFunction: a.completeInstances,
	}
	return group("device", "Disks, network cards and CDs of an instance, which may run", []*cobra.Command{
		list, a.deviceAttach(), a.deviceDetach(), a.deviceGrow(),
	})
}

func (a *app) deviceList(cmd *cobra.Command, args []string) error {
	node, row, err := a.instance(cmd, args[0])
	if err != nil {
		return err
	}
	devices, err := node.Devices(cmd.Context(), row.ID)
	if err != nil {
		return err
	}
	return a.print(devices, func() written { return deviceTable(devices.Items) })
}

func deviceTable(items []fleet.Device) *table {
	t := &table{columns: []column{
		{title: "NAME"},
		{title: "KIND"},
		{title: "SIZE", right: true, sparse: true},
		{title: "NETWORK", sparse: true},
		{title: "VLAN", right: true, sparse: true},
		{title: "IMAGE", sparse: true},
	}}
	for _, d := range items {
		size, vlan := cell{}, cell{}
		if d.Kind == fleet.DeviceDisk {
			size = text(disk(d.SizeGiB))
		}
		if d.VLAN != 0 {
			vlan = number(int64(d.VLAN))
		}
		t.add(text(d.Name), text(string(d.Kind)), size, text(d.Network), vlan, text(d.Image))
	}
	return t
}

func (a *app) deviceAttach() *cobra.Command {
	cmd := &cobra.Command{
		Use: "attach INSTANCE", Short: "Attach a disk, a network card or a CD", Args: takes("INSTANCE"), ValidArgsFunction: a.completeInstances,
		Example: "  grapevine instance device attach web --disk 20\n  grapevine instance device attach web --network dmz",
	}
	var gib int64
	var network, iso string
	flags := cmd.Flags()
	flags.Int64Var(&gib, "disk", 0, "an empty disk of so many GiB")
	flags.StringVar(&network, "network", "", "a network card, NETWORK[,vlan=ID][,mac=ADDRESS]")
	flags.StringVar(&iso, "iso", "", "a CD with this image, by name or id")
	return a.deviceChange(cmd, func(cmd *cobra.Command, _ []string) (fleet.DeviceChange, error) {
		change := fleet.DeviceChange{Verb: fleet.AttachDevice}
		given := 0
		for _, name := range []string{"disk", "network", "iso"} {
			if cmd.Flags().Changed(name) {
				given++
			}
		}
		switch {
		case given != 1:
			return change, usage(cmd, "give one of --disk, --network and --iso")
		case network != "":
			nic, err := parseNIC(network)
			if err != nil {
				return change, usage(cmd, "--network %s: %v", network, err)
			}
			change.Device = fleet.AttachRequest{Kind: fleet.DeviceNIC, Network: nic.Network, VLAN: nic.VLAN, MAC: nic.MAC}
		case iso != "":
			change.Device = fleet.AttachRequest{Kind: fleet.DeviceISO, Image: iso}
		default:
			change.Device = fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: gib}
		}
		return change, nil
	})
}

func (a *app) deviceDetach() *cobra.Command {
	return a.deviceChange(&cobra.Command{
		Use: "detach INSTANCE DEVICE", Short: "Detach a device; a disk is removed with what is on it", Args: takes("INSTANCE", "DEVICE"),
		ValidArgsFunction: a.completeInstances,
	}, func(_ *cobra.Command, args []string) (fleet.DeviceChange, error) {
		return fleet.DeviceChange{Verb: fleet.DetachDevice, Name: args[1]}, nil
	})
}

func (a *app) deviceGrow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "grow INSTANCE DISK", Short: "Make a disk larger; its partitions are the guest's business", Args: takes("INSTANCE", "DISK"),
		ValidArgsFunction: a.completeInstances,
	}
	var gib int64
	cmd.Flags().Int64Var(&gib, "size", 0, "GiB that it is to have")
	return a.deviceChange(cmd, func(cmd *cobra.Command, args []string) (fleet.DeviceChange, error) {
		change := fleet.DeviceChange{Verb: fleet.GrowDisk, Name: args[1]}
		change.Device.SizeGiB = gib
		return change, need(cmd, "size")
	})
}

// deviceChange completes a command that changes a device.
func (a *app) deviceChange(cmd *cobra.Command, read func(*cobra.Command, []string) (fleet.DeviceChange, error)) *cobra.Command {
	var wait time.Duration
	cmd.Flags().DurationVar(&wait, "wait", 0, "wait until it is done, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		change, err := read(cmd, args)
		if err != nil {
			return err
		}
		if err := change.Validate(); err != nil {
			return err
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		accepted, err := node.ChangeDevice(cmd.Context(), row.ID, change, wait)
		if err != nil {
			return err
		}
		return a.outcome(string(change.Verb), accepted, wait)
	}
	return cmd
}
