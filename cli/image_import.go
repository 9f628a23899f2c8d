package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/internal/diskhead"
)

// source is an image on this machine before it is imported.
type source struct {
	name, cmdline string
	format        string // of the disk; empty: what its header says
	paths         map[fleet.ImageRole]string
	hosts         []string
	allHosts      bool
	url, sha256   string // of a disk that hosts are to download
	wait          time.Duration
}

// fileOrder is the order of an image's files in its manifest.
var fileOrder = []fleet.ImageRole{fleet.RoleKernel, fleet.RoleInitrd, fleet.RoleDisk, fleet.RoleISO}

func (a *app) imageImport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "import [URL]", Short: "Upload an image to hosts, or let them download it", Args: atMostOne,
		Example: "  grapevine image import https://cloud.debian.org/images/cloud/bookworm/latest/debian-12-nocloud-amd64.qcow2 --name debian-12 --wait 10m\n" +
			"  grapevine image import --name debian-12 --disk debian-12.qcow2 --all-hosts\n" +
			"  grapevine image import --name tiny --kernel vmlinuz --initrd initrd.gz --cmdline console=ttyS0 --host kvm-1",
	}
	var s source
	var disk, kernel, initrd, iso string
	flags := cmd.Flags()
	flags.StringVar(&s.name, "name", "", "name of the image")
	flags.StringVar(&disk, "disk", "", "file with its disk")
	flags.StringVar(&s.format, "format", "", "format of the disk: raw, qcow2, vmdk or vhd (default: what its header says)")
	flags.StringVar(&kernel, "kernel", "", "file with a Linux kernel to boot directly")
	flags.StringVar(&initrd, "initrd", "", "file with the kernel's initial RAM disk")
	flags.StringVar(&iso, "iso", "", "file with a CD, such as an installer's")
	flags.StringVar(&s.cmdline, "cmdline", "", "the kernel's command line")
	flags.StringSliceVar(&s.hosts, "host", nil, "host that gets it, by name or id; may be repeated (default: the node chooses)")
	flags.BoolVar(&s.allHosts, "all-hosts", false, "every host gets it")
	flags.StringVar(&s.sha256, "sha256", "", "digest that what is downloaded must have")
	flags.DurationVar(&s.wait, "wait", 0, "wait until it is downloaded, at most so long")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			s.url = args[0]
		}
		s.paths = map[fleet.ImageRole]string{}
		for role, path := range map[fleet.ImageRole]string{fleet.RoleDisk: disk, fleet.RoleKernel: kernel, fleet.RoleInitrd: initrd, fleet.RoleISO: iso} {
			if path != "" {
				s.paths[role] = path
			}
		}
		if err := s.check(cmd); err != nil {
			return err
		}
		if s.url != "" {
			return a.importURL(cmd.Context(), &s)
		}
		return a.importImage(cmd.Context(), &s)
	}
	return cmd
}

// atMostOne lets one argument be left out.
func atMostOne(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return takes("URL")(cmd, args)
}

func (s *source) check(cmd *cobra.Command) error {
	if err := need(cmd, "name"); err != nil {
		return err
	}
	switch {
	case s.url != "" && (len(s.paths) > 0 || s.format != "" || s.cmdline != ""):
		return usage(cmd, "a URL is that of a disk: leave --disk, --kernel, --initrd, --iso, --cmdline and --format out")
	case s.url == "" && (s.sha256 != "" || s.wait != 0):
		return usage(cmd, "--sha256 and --wait are for a URL, and there is none")
	case s.url != "" && s.allHosts && len(s.hosts) > 0:
		return usage(cmd, "--host and --all-hosts exclude each other")
	case s.url != "":
		return nil
	case s.paths[fleet.RoleISO] != "" && len(s.paths) > 1:
		return usage(cmd, "a CD is an image by itself: leave --disk, --kernel and --initrd out")
	case s.paths[fleet.RoleISO] == "" && s.paths[fleet.RoleDisk] == "" && s.paths[fleet.RoleKernel] == "":
		return usage(cmd, "there is nothing to boot: give --disk, --kernel or --iso")
	case s.format != "" && s.paths[fleet.RoleDisk] == "":
		return usage(cmd, "--format is that of a disk, and --disk is missing")
	case s.allHosts && len(s.hosts) > 0:
		return usage(cmd, "--host and --all-hosts exclude each other")
	default:
		return nil
	}
}

func (a *app) importImage(ctx context.Context, s *source) error {
	node, err := a.node(ctx)
	if err != nil {
		return err
	}
	targets, err := s.targets(ctx, node)
	if err != nil {
		return err
	}
	im, err := s.manifest(ctx, a)
	if err != nil {
		return err
	}
	imported := im
	var failed error
	for _, target := range targets {
		stored, err := a.importTo(ctx, node, s, im, target)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && len(targets) == 1 {
			return err
		}
		if err != nil {
			a.say(fmt.Errorf("host %s: %w", target.Name, err))
			failed = errReported
			continue
		}
		imported.CreatedAt, imported.Name = stored.CreatedAt, stored.Name
		imported.Hosts = append(imported.Hosts, stored.Hosts...)
	}
	if failed != nil {
		return failed
	}
	return a.print(imported, func() written { return line(imaged("imported", im.Name, imported.Name, im.ID)) })
}

// targets are the hosts to upload to; the zero host lets the node choose.
func (s *source) targets(ctx context.Context, node *client.Client) ([]fleet.Host, error) {
	if s.allHosts {
		hosts, err := node.Hosts(ctx)
		if err != nil {
			return nil, err
		}
		if len(hosts.Items) == 0 {
			return nil, &fleet.Error{Code: fleet.CodeNotFound, Detail: "the fleet has no host that could hold an image; start an agent first"}
		}
		return hosts.Items, nil
	}
	if len(s.hosts) == 0 {
		return []fleet.Host{{}}, nil
	}
	var targets []fleet.Host
	for _, ref := range s.hosts {
		host, err := findHost(ctx, node, ref)
		if err != nil {
			return nil, err
		}
		targets = append(targets, host)
	}
	return targets, nil
}

// importTo uploads to one host, unless that holds the image already.
func (a *app) importTo(ctx context.Context, node *client.Client, s *source, im fleet.Image, target fleet.Host) (fleet.Image, error) {
	if target.HoldsImage(im.ID) {
		a.note("host %s holds image %.12s already", target.Name, im.ID)
		if held, err := node.Image(ctx, im.ID); err == nil {
			im.Name = held.Name
		}
		im.Hosts = []fleet.HostID{target.ID}
		return im, nil
	}
	stored, err := a.upload(ctx, node, s.from, im, target)
	if err != nil {
		return fleet.Image{}, err
	}
	if len(stored.Hosts) == 0 && !target.ID.IsZero() {
		stored.Hosts = []fleet.HostID{target.ID}
	}
	return stored, nil
}

// manifest reads the files once: how long they are, their digests, what disk a
// guest would see.
func (s *source) manifest(ctx context.Context, a *app) (fleet.Image, error) {
	im := fleet.Image{Name: s.name, Cmdline: s.cmdline, Files: []fleet.ImageFile{}}
	for _, role := range fileOrder {
		if s.paths[role] == "" {
			continue
		}
		f, err := s.describe(ctx, a, role)
		if err != nil {
			return fleet.Image{}, fmt.Errorf("%s %s: %w", role, s.paths[role], err)
		}
		im.Files = append(im.Files, f)
		im.Bytes += f.Bytes
	}
	im.ID = fleet.ImageID(im.Files, im.Cmdline)
	return im, im.Validate()
}

func (s *source) describe(ctx context.Context, a *app, role fleet.ImageRole) (fleet.ImageFile, error) {
	file, err := os.Open(s.paths[role])
	if err != nil {
		if pathError, ok := errors.AsType[*os.PathError](err); ok {
			err = pathError.Err
		}
		return fleet.ImageFile{}, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return fleet.ImageFile{}, err
	}
	if !info.Mode().IsRegular() {
		return fleet.ImageFile{}, errors.New("is no regular file; give the path of one")
	}
	f := fleet.ImageFile{Role: role, Bytes: info.Size()}
	if role == fleet.RoleDisk {
		if f.Format, f.VirtualBytes, err = diskhead.Read(file, info.Size()); err != nil {
			return fleet.ImageFile{}, err
		}
		if s.format != "" && s.format != f.Format {
			return fleet.ImageFile{}, fmt.Errorf("has the header of a %s file, and --format says %s; leave --format out", f.Format, s.format)
		}
	}
	bar := a.progress("digest of "+string(role), info.Size())
	defer bar.end()
	digest := sha256.New()
	if _, err := io.Copy(digest, until(ctx, bar.reader(file))); err != nil {
		return fleet.ImageFile{}, err
	}
	f.SHA256 = hex.EncodeToString(digest.Sum(nil))
	return f, nil
}

// reading makes a reader of a function.
type reading func(p []byte) (int, error)

// Read implements io.Reader.
func (r reading) Read(p []byte) (int, error) { return r(p) }

// until reads from r until ctx ends.
func until(ctx context.Context, r io.Reader) io.Reader {
	return reading(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	})
}
