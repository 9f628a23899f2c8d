package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/exportfile"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

// bringing is an exported instance on its way back.
type bringing struct {
	app    *app
	node   *client.Client
	file   *os.File
	export exportfile.Verified
	create fleet.Create
	guest  guestFlags
	opts   client.CreateOptions
}

func (a *app) instanceImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Make an instance of a file that instance export has written, and start it", Args: takes("FILE"),
		Long: "Every digest in the file is compared before anything is sent. Its disks become images, which are converted where the host takes another format,\n" +
			"and the instance is made of them, as it was described; it is told who it is by cloud-init, as every new instance.\n" +
			"The same file under the same name makes no second one, however often it is imported.",
		Example: "  grapevine instance import web.grapevine --name web-2 --host kvm-1 --wait 10m",
	}
	b := &bringing{app: a}
	flags := cmd.Flags()
	flags.StringVar(&b.create.Name, "name", "", "name of the instance (default: the one that it had)")
	flags.StringVar(&b.create.Host, "host", "", "only on this host, by name or id")
	flags.StringVar(&b.create.Flavor, "flavor", "", "its size (default: the flavor that is as large as it was)")
	flags.StringVar(&b.create.Project, "project", "", "project that it belongs to (default: the one that it had)")
	flags.DurationVar(&b.opts.Wait, "wait", 0, "wait until it runs, at most so long")
	b.guest.addIdentity(cmd, "as it had, where the host has such networks")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if err := b.guest.fill(cmd, &b.create); err != nil {
			return err
		}
		if b.file, err = os.Open(args[0]); err != nil {
			return err
		}
		defer b.file.Close()
		if b.node, err = a.node(cmd.Context()); err != nil {
			return err
		}
		return b.run(cmd.Context(), args[0])
	}
	return cmd
}

func (b *bringing) run(ctx context.Context, path string) error {
	info, err := b.file.Stat()
	if err != nil {
		return err
	}
	bar := b.app.progress("digests", info.Size())
	b.export, err = exportfile.Verify(until(ctx, bar.reader(b.file)))
	bar.end()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	host, err := b.target(ctx)
	if err != nil {
		return err
	}
	if err := b.describe(ctx, &host); err != nil {
		return err
	}
	images := b.export.Images()
	for _, im := range images {
		if err := b.bring(ctx, im, host); err != nil {
			return err
		}
	}
	accepted, err := createOne(ctx, b.node, b.create, b.opts)
	if err != nil {
		return err
	}
	return b.app.outcome("import", accepted, b.opts.Wait)
}

// target is the host that was asked for; the zero one lets the node choose.
func (b *bringing) target(ctx context.Context) (fleet.Host, error) {
	if b.create.Host == "" {
		return fleet.Host{}, nil
	}
	host, err := findHost(ctx, b.node, b.create.Host)
	b.create.Host = host.ID.String()
	return host, err
}

// describe fills in what the file says and no flag does. The key follows from the
// file and the name, so that one file is one instance under one name.
func (b *bringing) describe(ctx context.Context, host *fleet.Host) error {
	was := &b.export.Instance
	c := &b.create
	if c.Name == "" {
		c.Name = was.Name
	}
	if c.Project == "" {
		c.Project = was.Project
	}
	c.Labels, c.Firmware = was.Labels, was.Firmware
	if err := b.size(ctx); err != nil {
		return err
	}
	if len(c.Networks) == 0 {
		if err := b.connect(ctx, host); err != nil {
			return err
		}
	}
	images := b.export.Images()
	c.Image = images[0].ID
	for _, im := range images[1:] {
		f, _ := b.export.File(im.Files[0])
		c.Disks = append(c.Disks, fleet.Disk{SizeGiB: f.SizeGiB, Image: im.ID})
	}
	key := sha256.Sum256([]byte(b.export.ID + "\n" + c.Name))
	b.opts.Key = "import-" + hex.EncodeToString(key[:])
	return c.Validate()
}

// size finds the flavor that is as large as the instance was.
func (b *bringing) size(ctx context.Context) error {
	if b.create.Flavor != "" {
		return nil
	}
	flavors, err := b.node.Flavors(ctx)
	if err != nil {
		return err
	}
	was := &b.export.Instance
	fits := func(f fleet.Flavor) bool { return f.VCPUs == was.VCPUs && f.MemoryMiB == was.MemoryMiB }
	i := slices.IndexFunc(flavors.Items, func(f fleet.Flavor) bool { return f.Name == was.Flavor && fits(f) })
	if i < 0 {
		// The smallest disk that a flavor asks for: the image's own is the least.
		i = slices.IndexFunc(flavors.Items, fits)
	}
	if i < 0 {
		return fmt.Errorf("no flavor here has %d vCPUs and %d MiB of memory, as the instance had; give a --flavor", was.VCPUs, was.MemoryMiB)
	}
	b.create.Flavor = flavors.Items[i].Name
	return nil
}

// connect gives the instance the networks that it was on, where some host, or the
// one that was asked for, has them all; otherwise it has one card on the host's
// default network.
func (b *bringing) connect(ctx context.Context, host *fleet.Host) error {
	hosts := []fleet.Host{*host}
	if host.ID.IsZero() {
		list, err := b.node.Hosts(ctx)
		if err != nil {
			return err
		}
		hosts = list.Items
	}
	has := func(h fleet.Host) bool {
		return !slices.ContainsFunc(b.export.Instance.Networks, func(nic fleet.NIC) bool {
			return nic.Network != fleet.NoNetwork && !h.HasNetwork(nic.Network) || nic.VLAN != 0 && !h.HasTrait(fleet.TraitVLAN)
		})
	}
	if slices.ContainsFunc(hosts, has) {
		b.create.Networks = b.export.Instance.Networks
		return nil
	}
	var names []string
	for _, nic := range b.export.Instance.Networks {
		names = append(names, nic.Network)
	}
	b.app.note("it was on %s, which is not there; it gets one card on the host's default network (or give --network)", strings.Join(names, ", "))
	return nil
}

// bring uploads an image, unless the host, or where none was asked for any other,
// holds it.
func (b *bringing) bring(ctx context.Context, im fleet.Image, host fleet.Host) error {
	held, err := b.node.Image(ctx, im.ID)
	if err == nil && len(held.Hosts) > 0 && (host.ID.IsZero() || slices.Contains(held.Hosts, host.ID)) {
		return nil
	}
	if err != nil && fleet.CodeOf(err) != fleet.CodeNotFound && fleet.CodeOf(err) != fleet.CodeUnknownImage {
		return err
	}
	if _, err := b.app.upload(ctx, b.node, b.content, im, host); err != nil {
		return err
	}
	return b.known(ctx, im.ID)
}

// known waits until the node has heard of an image that was uploaded through it.
func (b *bringing) known(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, uploadPatience)
	defer cancel()
	for {
		im, err := b.node.Image(ctx, id)
		if err == nil && len(im.Hosts) > 0 {
			return nil
		}
		if code := fleet.CodeOf(err); err != nil && code != fleet.CodeNotFound && code != fleet.CodeUnknownImage {
			return err
		}
		if !pause.UpTo(ctx, askEvery) {
			return fmt.Errorf("image %.12s was uploaded, and the node that was asked has not heard of it; run the same command to go on", id)
		}
	}
}

// content reads an image out of the file, from an offset on.
func (b *bringing) content(im *fleet.Image, offset int64) (io.Reader, func(), error) {
	var parts []io.Reader
	for _, f := range im.Files {
		i := slices.IndexFunc(b.export.Files, func(held fleet.ExportedFile) bool { return held.Role == f.Role && held.SHA256 == f.SHA256 })
		if i < 0 {
			return nil, nil, errors.New("the image is not of this file")
		}
		skip := min(offset, f.Bytes)
		offset -= skip
		parts = append(parts, io.NewSectionReader(b.file, b.export.Offsets[i]+skip, f.Bytes-skip))
	}
	return io.MultiReader(parts...), func() {}, nil
}
