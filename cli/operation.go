package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) operationCommand() []*cobra.Command {
	show := &cobra.Command{
		Use: "show OPERATION", Short: "Show what became of an operation, or how far it is", Args: takes("OPERATION"),
		Long: "Show an operation by the id that the command which began it answered with (-o json). Its host keeps it for a day after its end.",
	}
	var wait time.Duration
	show.Flags().DurationVar(&wait, "wait", 0, "wait until it has ended, at most so long")
	show.RunE = func(cmd *cobra.Command, args []string) error {
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		op, err := node.Operation(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		if wait > 0 {
			op, err = a.follow(cmd.Context(), node, op, op.Verb, wait)
		}
		if printed := a.print(op, func() written { return operationSheet(&op) }); printed != nil {
			return printed
		}
		return err
	}
	return []*cobra.Command{group("operation", "What hosts are doing", []*cobra.Command{show})}
}

func operationSheet(op *fleet.Operation) *sheet {
	s := &sheet{}
	s.line("operation", text(op.ID))
	s.line("verb", text(op.Verb))
	if !op.Instance.IsZero() {
		s.line("instance", text(op.Instance.String()))
	}
	if op.Image != "" {
		s.line("image", text(op.Image))
	}
	s.line("state", text(string(op.State)))
	if op.Step != "" {
		s.line("step", text(op.Step))
	}
	if op.Progress != nil {
		s.line("progress", text(progressText(op.Progress)))
	}
	if op.Fault != "" {
		s.line("fault", text(op.Fault))
	}
	return s
}

// progressText says how far something is, in the words of whoever counts it.
func progressText(p *fleet.Progress) string {
	const mib = 1 << 20
	switch {
	case p.Percent > 0:
		return fmt.Sprintf("%d %%", p.Percent)
	case p.TotalBytes > 0:
		return fmt.Sprintf("%d of %d MiB", p.DoneBytes/mib, (p.TotalBytes+mib-1)/mib)
	default:
		return fmt.Sprintf("%d MiB", p.DoneBytes/mib)
	}
}
