package libvirt

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"libvirt.org/go/libvirtxml"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/storage"
	"grapevine/fleet"
)

var _ drivers.Rescuer = (*Driver)(nil)

// Rescue implements drivers.Rescuer. What the domain was is kept in its metadata,
// and comes with the change in one definition.
func (d *Driver) Rescue(ctx context.Context, id fleet.InstanceID, im fleet.Image, mark drivers.Mark) error {
	err := d.rescuing(ctx, id, func(pool *storage.Pool, m *drivers.Machine, def *definition) error {
		if m.Mark.Rescue.Is() && m.Mark.Rescue.Image == im.ID {
			return nil
		}
		held, err := d.storage.Image(ctx, pool, im.ID)
		if err != nil {
			return err
		}
		t, err := d.tree(ctx, id)
		if err != nil {
			return err
		}
		if err := drivers.Rescuable(m, t.disk(drivers.DiskName(0)) != nil, &held); err != nil {
			return err
		}
		if err := d.flavour.rescues(&def.xml, &held); err != nil {
			return err
		}
		if err := pool.Delete(ctx, rescueVolume(id)); err != nil { // left by one that was cut short
			return err
		}
		return d.rescue(ctx, pool, def, &held, mark)
	})
	if err != nil {
		return fmt.Errorf("rescue machine %s: %w", id, err)
	}
	return nil
}

func (d *Driver) rescue(ctx context.Context, pool *storage.Pool, def *definition, im *fleet.Image, mark drivers.Mark) error {
	if err := def.keepBefore(); err != nil {
		return err
	}
	if err := def.mark(mark); err != nil {
		return err
	}
	os := def.xml.OS
	os.BootDevices, os.Kernel, os.Initrd, os.Cmdline = nil, "", "", ""
	if err := d.bootFrom(ctx, pool, def, im); err != nil {
		return err
	}
	begin, err := imageContent(ctx, pool, im)
	if err != nil {
		return err
	}
	if begin.path != "" {
		vol, err := pool.Create(ctx, storage.Disk(rescueVolume(mark.ID), im.DiskGiB(), begin.path, begin.format))
		if err != nil {
			return err
		}
		d.flavour.rescue(def, d.flavour.diskXML(vol.Key, rescueLetter))
	}
	if _, ok := im.File(fleet.RoleISO); ok {
		path, err := pool.Path(ctx, storage.FileName(im.ID, fleet.RoleISO))
		if err != nil {
			return fmt.Errorf("find the image's ISO: %w", err)
		}
		free := def.freeDrive()
		if free < 0 {
			return drivers.Unfit("all of its %d CD drives are taken", drives)
		}
		def.bootDisk(driveXML(path, sataDrive(free)))
	}
	return d.define(ctx, def)
}

// rescueLetter is where the disk of a rescue is: after all others but the seed.
const rescueLetter = lastLetter - 1

// bootDisk adds a disk that is booted before all others; where there is a kernel
// it is not booted at all.
func (def *definition) bootDisk(disk libvirtxml.DomainDisk) {
	for i := range def.xml.Devices.Disks {
		def.xml.Devices.Disks[i].Boot = nil
	}
	for i := range def.xml.Devices.Interfaces {
		def.xml.Devices.Interfaces[i].Boot = nil
	}
	disk.Boot = &libvirtxml.DomainDeviceBoot{Order: 1}
	def.xml.Devices.Disks = append(def.xml.Devices.Disks, disk)
}

// freeDrive is the number of a CD drive that the machine has not, -1 for none.
func (def *definition) freeDrive() int {
	for n := drives - 1; n >= 0; n-- {
		taken := slices.ContainsFunc(def.xml.Devices.Disks, func(d libvirtxml.DomainDisk) bool {
			return d.Target != nil && d.Target.Dev == sataDrive(n).Dev
		})
		if !taken {
			return n
		}
	}
	return -1
}

// Unrescue implements drivers.Rescuer.
func (d *Driver) Unrescue(ctx context.Context, id fleet.InstanceID, mark drivers.Mark) error {
	err := d.rescuing(ctx, id, func(_ *storage.Pool, m *drivers.Machine, def *definition) error {
		if !m.Mark.Rescue.Is() {
			return nil
		}
		if err := drivers.StoppedFor(m, "unrescued"); err != nil {
			return err
		}
		if err := def.bringBefore(); err != nil {
			return err
		}
		if err := def.mark(mark); err != nil {
			return err
		}
		return d.define(ctx, def)
	})
	if err != nil {
		return fmt.Errorf("unrescue machine %s: %w", id, err)
	}
	return nil
}

// rescuing does something to the definition of a managed machine, alone, and
// removes the disk of a rescue that the machine does not have afterwards.
func (d *Driver) rescuing(ctx context.Context, id fleet.InstanceID, do func(*storage.Pool, *drivers.Machine, *definition) error) error {
	return d.alone(ctx, id, func(m *drivers.Machine) error {
		pool, err := d.storage.Pool(ctx)
		if err != nil {
			return err
		}
		dom, err := d.lookup(ctx, id)
		if err != nil {
			return err
		}
		def, err := d.definition(ctx, dom)
		if err != nil {
			return err
		}
		err = do(pool, m, def)
		// What became of a definition whose answer was lost, the domain itself says.
		tidying, cancel := context.WithTimeout(context.WithoutCancel(ctx), tidyLimit)
		defer cancel()
		now, look := d.definition(tidying, dom)
		if look != nil || now.names(rescueVolume(id)) {
			return errors.Join(err, look)
		}
		return errors.Join(err, pool.Delete(tidying, rescueVolume(id)))
	})
}

const rescuePrefix = "rescue-"

func rescueVolume(id fleet.InstanceID) string { return rescuePrefix + id.String() + ".qcow2" }

// isHidden tells what is no disk to its machine's owner: a seed, or that of a
// rescue.
func (s *seenDisk) isHidden() bool {
	return s.isSeed() || strings.HasPrefix(filepath.Base(s.Source.File), rescuePrefix)
}

// beforeSpace is the name space of the element that says what a rescued domain
// was: its XML, gzip in base64.
const beforeSpace = "urn:grapevine:before:1"

// keepBefore writes into the metadata what the domain is now.
func (def *definition) keepBefore() error {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, def.text); err != nil {
		return fmt.Errorf("keep domain XML: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("keep domain XML: %w", err)
	}
	if def.xml.Metadata == nil {
		def.xml.Metadata = &libvirtxml.DomainMetadata{}
	}
	element := `<before:domain xmlns:before="` + beforeSpace + `">` + base64.StdEncoding.EncodeToString(b.Bytes()) + `</before:domain>`
	var err error
	def.xml.Metadata.XML, err = withElement(def.xml.Metadata.XML, beforeSpace, element)
	return err
}

// bringBefore makes the definition what keepBefore kept.
func (def *definition) bringBefore() error {
	if def.xml.Metadata == nil {
		return errNoBefore
	}
	decoder := xml.NewDecoder(strings.NewReader(def.xml.Metadata.XML))
	for {
		token, err := decoder.Token()
		if err != nil {
			return errNoBefore
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Space != beforeSpace {
			continue
		}
		var text string
		if err := decoder.DecodeElement(&text, &start); err != nil {
			return fmt.Errorf("%w: %w", errNoBefore, err)
		}
		r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(strings.TrimSpace(text))))
		if err != nil {
			return fmt.Errorf("%w: %w", errNoBefore, err)
		}
		before, err := io.ReadAll(io.LimitReader(r, maxBefore+1))
		if err == nil && len(before) > maxBefore {
			err = fmt.Errorf("it unpacks to more than %d bytes", maxBefore)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errNoBefore, err)
		}
		def.text, def.xml = string(before), libvirtxml.Domain{}
		return def.xml.Unmarshal(def.text)
	}
}

// maxBefore bounds a definition: libvirt's own messages bound what it is given.
const maxBefore = 4 << 20

var errNoBefore = errors.New("what it was before its rescue is not in its metadata any more")
