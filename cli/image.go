package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func (a *app) imageCommand() []*cobra.Command {
	return []*cobra.Command{group("image", "What instances boot", []*cobra.Command{
		{Use: "list", Short: "List the images and how many hosts hold each", Aliases: []string{"ls"}, Args: takes(), RunE: a.imageList},
		{Use: "show IMAGE", Short: "Show one image in full", Args: takes("IMAGE"), RunE: a.imageShow},
		a.imageImport(),
		a.imageDelete(),
	})}
}

func (a *app) imageList(cmd *cobra.Command, _ []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	images, err := node.Images(cmd.Context())
	if err != nil {
		return err
	}
	a.noteCoverage(images.Coverage)
	return a.print(images, func() written { return imageTable(images.Items) })
}

func imageTable(images []fleet.Image) *table {
	t := &table{columns: []column{{title: "NAME"}, {title: "ID"}, {title: "PARTS"}, {title: "SIZE", right: true}, {title: "HOSTS", right: true}}}
	ids := make([]string, len(images))
	for i, im := range images {
		ids[i] = im.ID
	}
	length := max(12, shortest(ids))
	for i, im := range images {
		t.add(text(im.Name), cell{shorten(ids[i], length), faint}, text(imageParts(&im)), text(byteSize(im.Bytes)), number(int64(len(im.Hosts))))
	}
	return t
}

// imageParts names an image's files in short: kernel+initrd, qcow2.
func imageParts(im *fleet.Image) string {
	var parts []string
	for _, role := range []fleet.ImageRole{fleet.RoleKernel, fleet.RoleInitrd, fleet.RoleDisk, fleet.RoleISO} {
		if f, ok := im.File(role); ok {
			if f.Format != "" {
				parts = append(parts, f.Format)
			} else {
				parts = append(parts, string(f.Role))
			}
		}
	}
	return strings.Join(parts, "+")
}

func (a *app) imageShow(cmd *cobra.Command, args []string) error {
	node, err := a.node(cmd.Context())
	if err != nil {
		return err
	}
	im, err := findImage(cmd.Context(), node, args[0])
	if err != nil {
		return err
	}
	return a.print(im, func() written { return imageSheet(&im) })
}

func imageSheet(im *fleet.Image) *sheet {
	s := &sheet{}
	s.line("name", text(im.Name))
	s.line("id", text(im.ID))
	s.line("size", text(byteSize(im.Bytes)))
	for _, f := range im.Files {
		about := byteSize(f.Bytes)
		if f.Format != "" {
			about += fmt.Sprintf(", %s, the guest sees %s", f.Format, byteSize(f.VirtualBytes))
		}
		s.line(string(f.Role), text(fmt.Sprintf("%s  %s", f.SHA256, about)))
	}
	s.line("cmdline", text(im.Cmdline))
	s.line("created", text(moment(im.CreatedAt)))
	for i, host := range im.Hosts {
		label := ""
		if i == 0 {
			label = "hosts"
		}
		s.line(label, text(host.String()))
	}
	return s
}
