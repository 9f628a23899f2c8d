package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

func (a *app) instanceConsole() *cobra.Command {
	cmd := &cobra.Command{
		Use: "console INSTANCE", Short: "Sit down in front of an instance: its serial console, or its screen over VNC",
		Args: takes("INSTANCE"), ValidArgsFunction: a.completeInstances,
	}
	ask := fleet.OpenConsole{Kind: fleet.SerialConsole}
	var word, listen string
	var vnc, ticket bool
	flags := cmd.Flags()
	flags.StringVar(&word, "escape", "^]", "key that ends the console: ^ and a letter or one of [\\]^_, or none")
	flags.BoolVar(&ask.Force, "force", false, "take the console over from whoever has it")
	flags.BoolVar(&vnc, "vnc", false, "serve the screen to a VNC viewer on this machine")
	flags.StringVar(&listen, "listen", "127.0.0.1:0", "with --vnc: loopback address for the viewer; port 0 takes a free one")
	flags.BoolVar(&ticket, "url", false, "only print the URL of the WebSocket, good once and for 30 seconds, for a browser")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		escape, err := parseEscape(word)
		if err != nil {
			return usage(cmd, "%v", err)
		}
		if vnc {
			ask.Kind = fleet.VNCConsole
			if err := checkLoopback(listen); err != nil {
				return usage(cmd, "--listen %v", err)
			}
		}
		node, row, err := a.instance(cmd, args[0])
		switch {
		case err != nil:
			return err
		case ticket:
			return a.printTicket(cmd.Context(), node, row.ID, ask)
		case vnc:
			return a.serveVNC(cmd.Context(), node, &row, ask, listen)
		default:
			return a.serialConsole(cmd.Context(), node, &row, ask, escape)
		}
	}
	return cmd
}

func (a *app) printTicket(ctx context.Context, node *client.Client, id fleet.InstanceID, ask fleet.OpenConsole) error {
	ticket, err := node.OpenConsole(ctx, id, ask)
	if err != nil {
		return err
	}
	return a.print(ticket, func() written { return line(ticket.URL) })
}

// openConsole gets a ticket and uses it.
func openConsole(ctx context.Context, node *client.Client, id fleet.InstanceID, ask fleet.OpenConsole) (*client.Console, fleet.ConsoleTicket, error) {
	ticket, err := node.OpenConsole(ctx, id, ask)
	if err != nil {
		return nil, ticket, err
	}
	console, err := node.Console(ctx, ticket)
	return console, ticket, err
}

// escapeKey ends a console when it is typed; 0 is none, as nobody types it.
type escapeKey byte

func parseEscape(word string) (escapeKey, error) {
	if word == "none" {
		return 0, nil
	}
	if key := strings.ToUpper(word); len(key) == 2 && key[0] == '^' && key[1] > '@' && key[1] <= '_' {
		return escapeKey(key[1] & 0x1f), nil
	}
	return 0, fmt.Errorf("--escape %q is not ^ and a letter or one of [\\]^_, and not none", word)
}

// String names the key as it is on the keyboard.
func (k escapeKey) String() string { return "Ctrl-" + string(rune(k|0x40)) }

// cut returns what of typed comes before the key, and whether the key is there.
func (k escapeKey) cut(typed []byte) ([]byte, bool) {
	if k == 0 {
		return typed, false
	}
	before, _, found := strings.Cut(string(typed), string(rune(k)))
	return []byte(before), found
}

// errLeft is the end of a console that its user wanted.
var errLeft = errors.New("left")

// serialConsole connects the terminal with the machine until either ends it.
func (a *app) serialConsole(ctx context.Context, node *client.Client, row *fleet.Instance, ask fleet.OpenConsole, escape escapeKey) error {
	console, ticket, err := openConsole(ctx, node, row.ID, ask)
	if err != nil {
		return err
	}
	how := "it goes on until the machine stops"
	if escape != 0 {
		how = escape.String() + " ends it"
	}
	tty := &terminal{in: a.in, errOut: a.errOut}
	ctx, release, err := tty.raw(ctx)
	if err != nil {
		return errors.Join(err, console.Close())
	}
	// Said once keys go to the guest: until then Ctrl-C would drop those before it.
	a.note("connected to %s on %s; %s", row.Name, ticket.HostName, how)
	tty.begin()
	ends := make(chan error, 2)
	shown := make(chan struct{})
	go func() {
		defer tty.rescue()
		defer close(shown)
		_, err := io.Copy(a.out, console)
		ends <- err
	}()
	// A read of the terminal cannot be taken back: this one ends with the program.
	go func() {
		defer tty.rescue()
		ends <- typeInto(console, a.in, escape, shown)
	}()
	select {
	case err = <-ends:
	case <-ctx.Done():
		err = errLeft
	}
	_ = console.Close() // whatever the host says to that
	<-shown
	release()
	switch {
	case errors.Is(err, errLeft):
		a.note("left the console of %s", row.Name)
		return nil
	case err == nil:
		a.note("the console of %s has ended: the machine has stopped", row.Name)
		return nil
	default:
		return err
	}
}

// typeInto sends what is typed until the escape key or the console's end, of
// which its reader knows why. At the end of a file it stays, for the guest's
// answer.
func typeInto(console io.Writer, in io.Reader, escape escapeKey, end <-chan struct{}) error {
	chunk := make([]byte, 4096)
	for {
		n, err := in.Read(chunk)
		typed, left := escape.cut(chunk[:n])
		if len(typed) > 0 {
			if _, err := console.Write(typed); err != nil {
				<-end
				return errLeft
			}
		}
		switch {
		case left:
			return errLeft
		case errors.Is(err, io.EOF):
			<-end
			return errLeft
		case err != nil:
			return fmt.Errorf("read the terminal: %w", err)
		}
	}
}
