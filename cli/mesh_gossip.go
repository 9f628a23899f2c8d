package cli

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) meshRTT() *cobra.Command {
	return &cobra.Command{
		Use: "rtt A [B]", Short: "Estimate the round trip between two members", Args: oneOrTwo("A"),
		Long: "Estimates the round trip between two members, or one and the node that is asked, from Serf's network coordinates:\n" +
			"nothing is sent. Coordinates settle within some minutes of a start.",
		Example:           "  grapevine mesh rtt kvm-1 kvm-2",
		ValidArgsFunction: a.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			first, second := pairOf(args)
			trip, err := node.RTT(cmd.Context(), first, second)
			if err != nil {
				return err
			}
			return a.print(trip, func() written { return tripLine(&trip) })
		},
	}
}

func (a *app) meshPing() *cobra.Command {
	return &cobra.Command{
		Use: "ping MEMBER", Short: "Measure the round trip from this node to a member, now", Args: takes("MEMBER"),
		Example:           "  grapevine mesh ping kvm-2 --addr https://192.0.2.7:7947",
		ValidArgsFunction: a.completeMembers,
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := a.node(cmd.Context())
			if err != nil {
				return err
			}
			trip, err := node.Ping(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return a.print(trip, func() written { return tripLine(&trip) })
		},
	}
}

func tripLine(trip *fleet.RoundTrip) written {
	how := "estimated"
	if trip.Measured {
		how = "measured"
	}
	return line(fmt.Sprintf("%s to %s and back: %.3f ms, %s", trip.FromName, trip.ToName, trip.RTTMS, how))
}

func (a *app) meshLeave() *cobra.Command {
	cmd := &cobra.Command{
		Use: "leave", Short: "Make this node say good bye to the mesh, and end its process", Args: takes(),
		Long: "Makes the node that is asked leave the mesh in good order, so that the others list it as left and not as failed, and end\n" +
			"with exit code 0. The machines of its host go on; its rows stay and are shown as left. systemd does not start it again;\n" +
			"start it yourself when it is to come back.",
		Example: "  grapevine mesh leave --addr unix:///run/grapevine/agent.sock",
	}
	var yes bool
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		if !yes {
			question := fmt.Sprintf("The node at %s leaves the mesh and stays down until it is started again. Go on?", node.Addr())
			if err := a.confirm(cmd, question); err != nil {
				return err
			}
		}
		member, err := node.Leave(cmd.Context())
		if err != nil {
			return err
		}
		return a.print(member, func() written {
			return line(fmt.Sprintf("%s %s has left the mesh, and ends", member.Role, member.Name))
		})
	}
	return cmd
}

// confirm asks a person; without one there has to be --yes.
func (a *app) confirm(cmd *cobra.Command, question string) error {
	if !a.asking {
		return usage(cmd, "there is no terminal to ask on; give --yes")
	}
	fmt.Fprintf(a.errOut, "%s [y/N] ", visible(question))
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && answer == "" {
		return fmt.Errorf("read the answer: %w", err)
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	default:
		a.note("nothing was done")
		return errReported
	}
}
