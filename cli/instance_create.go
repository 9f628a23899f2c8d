package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

// tries is how often a create whose answer was lost is sent again. The key
// makes that safe.
const tries = 3

// wish is what the flags of create and explain say.
type wish struct {
	fleet.Create
	hypervisor string
	pairs      []string
	hostPairs  []string
	guestFlags
	bootingFlags
}

// wishFlags adds the flags that describe an instance. A name is needed to make
// one, not to ask where it would go.
func (a *app) wishFlags(cmd *cobra.Command, named bool) *wish {
	w := &wish{}
	flags := cmd.Flags()
	flags.StringVar(&w.Name, "name", "", "name of the instance")
	flags.StringVar(&w.Flavor, "flavor", "", "its size: see grapevine flavor list")
	flags.StringVar(&w.Image, "image", "", "what it boots, by name or id: see grapevine image list")
	flags.StringVar(&w.hypervisor, "hypervisor", "", "only on hosts that run this: kvm, xen or esxi")
	flags.StringVar(&w.Zone, "zone", "", "only on hosts in this zone")
	flags.StringVar(&w.Host, "host", "", "only on this host, by name or id")
	flags.StringArrayVar(&w.hostPairs, "host-label", nil, "only on hosts with this label, key=value; may be repeated")
	flags.StringArrayVar(&w.Traits, "trait", nil, "only on hosts with this trait, as uefi; may be repeated")
	flags.StringVar(&w.Project, "project", "", "project that it belongs to (default "+fleet.DefaultProject+")")
	flags.StringVar(&w.Group, "group", "", "server group that it is in, by name or id: see grapevine group list")
	flags.StringVar(&w.KeyPair, "key-pair", "", "key pair whose public key the guest's default user gets, by name or id: see grapevine keypair list")
	flags.StringArrayVar(&w.pairs, "label", nil, "label, key=value; may be repeated")
	w.guestFlags.add(cmd)
	w.bootingFlags.add(cmd)
	if !named {
		w.Name = "explain"
	}
	return w
}

// shortImage is what may be the beginning of an image's id.
var shortImage = regexp.MustCompile(`^[0-9a-f]{4,63}$`)

// create returns the body to send. Beginnings of ids are completed here; names
// go to the node as they are, which resolves them.
func (w *wish) create(cmd *cobra.Command, node *client.Client) (fleet.Create, error) {
	if err := need(cmd, "flavor", "image"); err != nil {
		return fleet.Create{}, err
	}
	c := w.Create
	c.Hypervisor = fleet.Hypervisor(w.hypervisor)
	var err error
	if c.Labels, err = labels(cmd, "label", w.pairs); err != nil {
		return fleet.Create{}, err
	}
	if c.HostLabels, err = labels(cmd, "host-label", w.hostPairs); err != nil {
		return fleet.Create{}, err
	}
	if err := w.guestFlags.fill(cmd, &c); err != nil {
		return fleet.Create{}, err
	}
	if err := w.bootingFlags.fill(cmd, &c.Booting); err != nil {
		return fleet.Create{}, err
	}
	if c.Image, err = wholeImage(cmd.Context(), node, c.Image); err != nil {
		return fleet.Create{}, err
	}
	if idPrefix.MatchString(c.Host) {
		host, err := findHost(cmd.Context(), node, c.Host)
		if err != nil {
			return fleet.Create{}, err
		}
		c.Host = host.ID.String()
	}
	return c, c.Validate()
}

func (a *app) instanceCreate() *cobra.Command {
	cmd := &cobra.Command{
		Use: "create", Short: "Create instances and start them", Args: takes(),
		Example: "  grapevine instance create --name web --flavor small --image tiny --wait 60s",
	}
	wish := a.wishFlags(cmd, true)
	batch := batch{}
	flags := cmd.Flags()
	flags.StringVar(&batch.key, "key", "", "idempotency key: the same key and wish give the same machine, however often asked (default: a random one)")
	flags.IntVar(&batch.count, "count", 1, "how many; they are called NAME-1, NAME-2 and so on, their keys KEY/1, KEY/2")
	flags.DurationVar(&batch.wait, "wait", 0, "wait until they run, at most so long")
	flags.BoolVar(&wish.UniqueName, "unique-name", false, "only if no other instance of the project has the name by such a create")
	flags.BoolVar(&batch.fast, "fast", false, "do not ask the fleet who has the key: sent twice at once, it may make two machines")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "name"); err != nil {
			return err
		}
		if batch.count < 1 || batch.count > fleet.MaxBatch {
			return usage(cmd, "--count is %d; it must be 1 to %d", batch.count, fleet.MaxBatch)
		}
		node, err := a.node(cmd.Context())
		if err != nil {
			return err
		}
		if batch.create, err = wish.create(cmd, node); err != nil {
			return err
		}
		if batch.key == "" {
			batch.key = randomKey()
		}
		return a.createAll(cmd.Context(), node, &batch)
	}
	return cmd
}

func randomKey() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // crypto/rand never fails: it ends the program instead
	return fleet.NewUUIDv4(random).String()
}

// batch is one or more creates that differ in their number only.
type batch struct {
	create fleet.Create
	key    string
	count  int
	wait   time.Duration
	fast   bool
}

// createAll sends the create, or the batch, and reports.
func (a *app) createAll(ctx context.Context, node *client.Client, b *batch) error {
	if b.count > 1 {
		return a.createBatch(ctx, node, b)
	}
	accepted, err := a.createLone(ctx, node, b)
	if err != nil {
		return howToRetry(err, b.key)
	}
	return a.outcome("create", accepted, b.wait)
}

func (a *app) createLone(ctx context.Context, node *client.Client, b *batch) (fleet.Accepted, error) {
	if a.terminal && b.wait > 0 && !b.fast {
		return a.createSeen(ctx, node, b.create, b.key, b.wait)
	}
	return createOne(ctx, node, b.create, client.CreateOptions{Key: b.key, Wait: b.wait, Fast: b.fast})
}

// createOne sends a create, and again when its answer was lost on the way: the
// key makes sure that there is one machine in the end.
func createOne(ctx context.Context, node *client.Client, create fleet.Create, opts client.CreateOptions) (fleet.Accepted, error) {
	return again(ctx, func() (fleet.Accepted, error) { return node.CreateInstance(ctx, create, opts) })
}

// howToRetry adds the key to an error after which nobody knows.
func howToRetry(err error, key string) error {
	if errors.Is(err, client.ErrOutcomeUnknown) || fleet.CodeOf(err) == fleet.CodeOutcomeUnknown {
		return fmt.Errorf("%w; send the same command again with --key %s, and there will be one machine", err, key)
	}
	return err
}
