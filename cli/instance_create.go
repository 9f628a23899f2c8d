package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
)

const (
	// maxBatch bounds --count; a larger number is a mistake more often than not.
	maxBatch = 1000
	// abreast is how many creates of a batch are under way at once.
	abreast = 8
	// tries is how often a create whose answer was lost is sent again. The key
	// makes that safe.
	tries = 3
)

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
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := need(cmd, "name"); err != nil {
			return err
		}
		if batch.count < 1 || batch.count > maxBatch {
			return usage(cmd, "--count is %d; it must be 1 to %d", batch.count, maxBatch)
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
}

// item returns the i-th create, counted from 1, and its key.
func (b *batch) item(i int) (fleet.Create, string) {
	if b.count == 1 {
		return b.create, b.key
	}
	c := b.create
	c.Name = fmt.Sprintf("%s-%d", c.Name, i)
	return c, fmt.Sprintf("%s/%d", b.key, i)
}

// createAll sends the batch, a few at a time, and reports in order.
func (a *app) createAll(ctx context.Context, node *client.Client, b *batch) error {
	accepted := make([]fleet.Accepted, b.count)
	errs := make([]error, b.count)
	var wait sync.WaitGroup
	slots := make(chan struct{}, abreast)
	for i := range b.count {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			create, key := b.item(i + 1)
			if a.terminal && b.count == 1 && b.wait > 0 {
				accepted[i], errs[i] = a.createSeen(ctx, node, create, key, b.wait)
				return
			}
			accepted[i], errs[i] = createOne(ctx, node, create, client.CreateOptions{Key: key, Wait: b.wait})
		})
	}
	wait.Wait()
	if b.count == 1 {
		if errs[0] != nil {
			return howToRetry(errs[0], b.key)
		}
		return a.outcome("create", accepted[0], b.wait)
	}
	return a.reportBatch(b, accepted, errs)
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

func (a *app) reportBatch(b *batch, accepted []fleet.Accepted, errs []error) error {
	failed := 0
	answers := fleet.List[fleet.Accepted]{Items: []fleet.Accepted{}}
	for i, err := range errs {
		create, key := b.item(i + 1)
		switch {
		case err != nil:
			failed++
			a.say(howToRetry(fmt.Errorf("%s: %w", create.Name, err), key))
		case a.format == asTable:
			if err := a.outcome("create", accepted[i], b.wait); err != nil {
				failed++
				a.say(err)
			}
		default:
			answers.Items = append(answers.Items, accepted[i])
		}
	}
	if a.format != asTable {
		if err := a.print(map[string]any{"items": answers.Items}, nil); err != nil {
			return err
		}
	}
	if failed > 0 {
		a.note("%d of %s failed; the same command with --key %s does only what is missing", failed, plural(b.count, "create"), b.key)
		return errReported
	}
	return nil
}
