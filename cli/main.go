package cli

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"grapevine/api"
	"grapevine/internal/buildinfo"
)

// The places where a node is looked for when nothing says where it is.
const (
	defaultAddr   = "http://127.0.0.1:7948"
	defaultSocket = "/run/grapevine/agent.sock"
)

// app is one run of the command line.
type app struct {
	in          io.Reader
	out, errOut io.Writer
	lookup      func(string) (string, bool) // environment variables
	now         func() time.Time
	colour      bool // tables may have colours
	terminal    bool // errOut is a terminal, so that progress can be drawn
	asking      bool // in and errOut are terminals, so that a person can be asked
	frontEnds   []api.FrontEnd

	// What the flags that every command has say.
	format                   format
	addr, cacert, cert, key  string
	defaultAddr, localSocket string
}

// Main runs the command line with these arguments, without the program's name,
// and returns the exit code. Ending ctx interrupts it. The front ends are those that
// its registries may mount.
func Main(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, frontEnds ...api.FrontEnd) int {
	a := &app{
		in: stdin, out: stdout, errOut: stderr, lookup: os.LookupEnv, now: time.Now,
		format: asTable, defaultAddr: defaultAddr, localSocket: defaultSocket,
		terminal: isTerminal(stderr), frontEnds: frontEnds,
	}
	_, noColour := os.LookupEnv("NO_COLOR")
	a.asking = a.terminal && isTerminal(stdin)
	a.colour = isTerminal(stdout) && !noColour && os.Getenv("TERM") != "dumb"
	return a.main(ctx, args)
}

func (a *app) main(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(append([]string{}, args...)) // nil would mean os.Args
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errOut)
	return a.report(root.ExecuteContext(ctx))
}

func (a *app) root() *cobra.Command {
	root := group("grapevine", "Virtual machines on a fleet of hypervisors, without a central database",
		[]*cobra.Command{a.devCommand(), a.agentCommand(), a.registryCommand()}, a.hostCommand(), a.recordCommand(), a.witnessCommand(), a.instanceCommand(), a.imageCommand(), a.flavorCommand(), a.groupCommand(), a.keyPairCommand(), a.operationCommand(),
		a.placementCommand(), a.meshCommand(), a.doctorCommand(), a.verifyCommand(), a.auditCommand(), a.tlsCommand(), a.tokenCommand(), a.joinCommand(), a.userCommand(), a.openstackCommand(), a.versionCommand(), a.manualCommand())
	root.Version = buildinfo.Get().String()
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	flags := root.PersistentFlags()
	flags.VarP(&a.format, "output", "o", "how to print: table, json or yaml")
	flags.StringVar(&a.addr, "addr", "", "address of a registry or an agent ($GRAPEVINE_ADDR, default "+defaultAddr+")")
	flags.StringVar(&a.cacert, "cacert", "", "file with the fleet's CA certificate ($GRAPEVINE_CACERT)")
	flags.StringVar(&a.cert, "cert", "", "file with your certificate ($GRAPEVINE_CERT)")
	flags.StringVar(&a.key, "cert-key", "", "file with its key ($GRAPEVINE_KEY)")
	a.completeFormats(root)
	return root
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
