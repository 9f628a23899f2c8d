package libvirt

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
)

// definition is a domain as it is when it is started next. It is read, changed
// and defined again: libvirt takes it whole, at one moment, so that whatever
// cuts a change short finds the old machine or the new one.
type definition struct {
	dom    golibvirt.Domain
	active bool
	text   string
	xml    libvirtxml.Domain
}

func (d *Driver) definition(ctx context.Context, dom golibvirt.Domain) (*definition, error) {
	def := &definition{dom: dom}
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) error {
		active, err := rpc.DomainIsActive(dom)
		if err != nil {
			return err
		}
		def.active = active == 1
		// Passwords are told only to who asks for them, and would be lost.
		def.text, err = rpc.DomainGetXMLDesc(dom, golibvirt.DomainXMLInactive|golibvirt.DomainXMLSecure)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := def.xml.Unmarshal(def.text); err != nil {
		return nil, fmt.Errorf("read domain XML: %w", err)
	}
	return def, nil
}

// define makes the definition, as it was changed, that of the domain. What the
// domain would go on from, had somebody saved its memory, goes: it belongs to
// other disks.
func (d *Driver) define(ctx context.Context, def *definition) error {
	text, err := def.xml.Marshal()
	if err != nil {
		return fmt.Errorf("write domain XML: %w", err)
	}
	return d.defineText(ctx, def.dom, text)
}

func (d *Driver) defineText(ctx context.Context, dom golibvirt.Domain, text string) error {
	defer d.sizes.forget(dom.UUID)
	err := d.session.Settle(ctx, func(rpc *golibvirt.Libvirt) error {
		if saved, err := rpc.DomainHasManagedSaveImage(dom, 0); err == nil && saved == 1 {
			if err := rpc.DomainManagedSaveRemove(dom, 0); err != nil {
				return err
			}
		}
		_, err := rpc.DomainDefineXML(text)
		return err
	})
	if err != nil {
		return fmt.Errorf("define domain %s: %w", dom.Name, err)
	}
	return nil
}

// snapshotCount is how many snapshots the domain has; none where libvirt keeps
// none of its kind.
func (d *Driver) snapshotCount(ctx context.Context, dom golibvirt.Domain) (n int32, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		n, err = rpc.DomainSnapshotNum(dom, 0)
		return err
	})
	if session.IsCode(err, golibvirt.ErrNoSupport) {
		return 0, nil
	}
	return n, err
}

// disk returns the domain's disk in this file or block device, nil where none is.
func (def *definition) disk(file string) *libvirtxml.DomainDisk {
	disks := def.xml.Devices.Disks
	i := slices.IndexFunc(disks, func(d libvirtxml.DomainDisk) bool { return pathOf(&d) == file })
	if i < 0 || file == "" {
		return nil
	}
	return &disks[i]
}

// seed returns the disk that cloud-init reads, nil where there is none.
func (def *definition) seed() *libvirtxml.DomainDisk {
	for i := range def.xml.Devices.Disks {
		if isSeed(fileOf(&def.xml.Devices.Disks[i])) {
			return &def.xml.Devices.Disks[i]
		}
	}
	return nil
}

func fileOf(disk *libvirtxml.DomainDisk) string {
	if disk == nil || disk.Source == nil || disk.Source.File == nil {
		return ""
	}
	return disk.Source.File.File
}

// names reports whether the definition names a file or a block device of this
// name.
func (def *definition) names(volume string) bool {
	return slices.ContainsFunc(def.xml.Devices.Disks, func(d libvirtxml.DomainDisk) bool { return filepath.Base(pathOf(&d)) == volume })
}

// spare are those of these volumes that the definition does not name.
func (def *definition) spare(volumes ...string) []string {
	return slices.DeleteFunc(slices.Clone(volumes), def.names)
}

// mark puts a Mark in the place of the one that the definition carries.
func (def *definition) mark(mark drivers.Mark) error {
	element, err := encodeSpacedMark(mark)
	if err != nil {
		return err
	}
	if def.xml.Metadata == nil {
		def.xml.Metadata = &libvirtxml.DomainMetadata{}
	}
	def.xml.Metadata.XML, err = withElement(def.xml.Metadata.XML, markSpace, element)
	return err
}

// withElement puts an element in the place of the one of this name space, and
// leaves all else in a domain's metadata as it is.
func withElement(metadata, space, element string) (string, error) {
	decoder := xml.NewDecoder(strings.NewReader(metadata))
	for {
		from := decoder.InputOffset()
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return metadata + element, nil
		}
		if err != nil {
			return "", fmt.Errorf("read domain metadata: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if err := decoder.Skip(); err != nil {
			return "", fmt.Errorf("read domain metadata: %w", err)
		}
		if start.Name.Space == space {
			return metadata[:from] + element + metadata[decoder.InputOffset():], nil
		}
	}
}
