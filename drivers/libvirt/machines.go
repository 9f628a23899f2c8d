package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"
	"math"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
	"golang.org/x/sync/errgroup"

	"grapevine/drivers"
	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// readers is how many domains are read at a time; libvirtd takes up 5 requests
// of a client at once.
const readers = 5

// List implements drivers.Driver.
func (d *Driver) List(ctx context.Context) ([]drivers.Machine, error) {
	machines, err := d.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	return machines, nil
}

func (d *Driver) list(ctx context.Context) ([]drivers.Machine, error) {
	var domains []golibvirt.Domain
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		domains, _, err = rpc.ConnectListAllDomains(1, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	domains = slices.DeleteFunc(domains, isHost)
	leases, err := d.leases(ctx)
	if err != nil {
		return nil, err
	}
	found := make([]*drivers.Machine, len(domains))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readers)
	for i, dom := range domains {
		group.Go(func() (err error) {
			found[i], err = d.read(ctx, dom, leases)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	machines := make([]drivers.Machine, 0, len(found))
	for _, m := range found {
		if m != nil {
			machines = append(machines, *m)
		}
	}
	slices.SortFunc(machines, func(a, b drivers.Machine) int { return a.ID.Compare(b.ID) })
	d.sizes.keep(domains)
	d.asking.keep(domains)
	return machines, nil
}

// Inspect implements drivers.Driver.
func (d *Driver) Inspect(ctx context.Context, id fleet.InstanceID) (drivers.Machine, error) {
	m, err := d.inspect(ctx, id)
	if err != nil {
		return drivers.Machine{}, fmt.Errorf("inspect machine %s: %w", id, err)
	}
	return *m, nil
}

func (d *Driver) inspect(ctx context.Context, id fleet.InstanceID) (*drivers.Machine, error) {
	dom, err := d.lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	leases, err := d.leases(ctx)
	if err != nil {
		return nil, err
	}
	m, err := d.read(ctx, dom, leases)
	if err == nil && m == nil {
		err = drivers.ErrNotFound
	}
	return m, err
}

func (d *Driver) lookup(ctx context.Context, id fleet.InstanceID) (dom golibvirt.Domain, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		dom, err = rpc.DomainLookupByUUID(golibvirt.UUID(id))
		return err
	})
	return dom, err
}

// read returns the machine of a domain, nil when it is gone meanwhile. One
// that libvirt cannot describe has PowerUnknown.
func (d *Driver) read(ctx context.Context, dom golibvirt.Domain, leases leases) (*drivers.Machine, error) {
	m := &drivers.Machine{ID: fleet.InstanceID(dom.UUID), Name: dom.Name, Power: fleet.PowerUnknown}
	var text string
	var power fleet.Power
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		if text, err = rpc.DomainGetXMLDesc(dom, 0); err != nil {
			return err
		}
		power, err = d.flavour.powerOf(rpc, dom)
		return err
	})
	switch {
	case session.IsCode(err, golibvirt.ErrNoDomain):
		return nil, nil
	case session.Unanswered(err):
		return nil, err
	case err != nil:
		d.log.Warn("a machine cannot be read", "instance", m.ID.String(), "error", err)
		return m, nil
	}
	seen, err := parseDomain(text)
	if err != nil {
		d.log.Warn("a machine cannot be read", "instance", m.ID.String(), "error", err)
		return m, nil
	}
	m.Power = power
	m.Mark = decodeMark(seen.Metadata.Inner, m.ID)
	m.Resources = fleet.Resources{VCPUs: seen.VCPUs(), MemoryMiB: seen.Memory.mib()}
	m.Addresses = d.asking.addresses(dom, seen, leases)
	m.Resources.DiskGiB, err = d.diskGiB(ctx, dom, seen)
	if session.IsCode(err, golibvirt.ErrNoDomain) {
		return nil, nil
	}
	return m, err
}

// seenDomain is what we read of a domain's XML: a few fields of what
// libvirtxml would take ten times as long to parse, for every machine of every
// listing.
type seenDomain struct {
	Type      string `xml:"type,attr"`
	Memory    memory `xml:"memory"`
	MaxMemory struct {
		memory
		Slots int `xml:"slots,attr"`
	} `xml:"maxMemory"`
	Memories []struct{} `xml:"devices>memory"`
	Metadata struct {
		Inner []byte `xml:",innerxml"`
	} `xml:"metadata"`
	VCPU struct {
		Most    int64 `xml:",chardata"`
		Current int64 `xml:"current,attr"`
	} `xml:"vcpu"`
	OS struct {
		Type     string `xml:"type"`
		Firmware string `xml:"firmware,attr"`
		Loader   struct {
			Type string `xml:"type,attr"`
		} `xml:"loader"`
	} `xml:"os"`
	Disks      []seenDisk      `xml:"devices>disk"`
	Interfaces []seenInterface `xml:"devices>interface"`
	Channels   []struct {
		Target struct {
			Name  string `xml:"name,attr"`
			State string `xml:"state,attr"`
		} `xml:"target"`
	} `xml:"devices>channel"`
	Serials []struct {
		Log struct {
			File string `xml:"file,attr"`
		} `xml:"log"`
	} `xml:"devices>serial"`
}

type seenInterface struct {
	MAC struct {
		Address string `xml:"address,attr"`
	} `xml:"mac"`
	Target struct {
		Dev string `xml:"dev,attr"`
	} `xml:"target"`
	Source struct {
		Network string `xml:"network,attr"`
		Bridge  string `xml:"bridge,attr"`
	} `xml:"source"`
	VLAN struct {
		Tags []struct {
			ID int `xml:"id,attr"`
		} `xml:"tag"`
	} `xml:"vlan"`
}

type seenDisk struct {
	Device string `xml:"device,attr"`
	Driver struct {
		Type string `xml:"type,attr"`
	} `xml:"driver"`
	Source struct {
		File   string `xml:"file,attr"`
		Dev    string `xml:"dev,attr"`
		Volume string `xml:"volume,attr"`
		Name   string `xml:"name,attr"`
	} `xml:"source"`
	Target struct {
		Dev string `xml:"dev,attr"`
		Bus string `xml:"bus,attr"`
	} `xml:"target"`
}

func parseDomain(text string) (*seenDomain, error) {
	var seen seenDomain
	if err := xml.Unmarshal([]byte(text), &seen); err != nil {
		return nil, fmt.Errorf("parse domain XML: %w", err)
	}
	return &seen, nil
}

// agentListens reports whether something in the guest has opened the channel of
// QEMU's guest agent.
func (s *seenDomain) agentListens() bool {
	for _, channel := range s.Channels {
		if channel.Target.Name == guestAgent && channel.Target.State == "connected" {
			return true
		}
	}
	return false
}

// VCPUs is how many the guest has now, where some of its most are unplugged.
func (s *seenDomain) VCPUs() int64 {
	has := s.VCPU.Most
	if s.VCPU.Current > 0 {
		has = s.VCPU.Current
	}
	return min(max(has, 0), math.MaxInt32) // what is added up over machines stays right
}

// memory is the most that the guest may have; what a balloon has taken from it
// may be given back at any time, and so counts.
type memory struct {
	Value int64  `xml:",chardata"`
	Unit  string `xml:"unit,attr"`
}

// mostMiB is the memory of which a signed number still counts the bytes. Who says
// more has this, so that what is added up over a host's machines stays right.
const mostMiB = math.MaxInt64 >> 20

// mib rounds up to MiB. libvirt itself always writes KiB.
func (m memory) mib() int64 {
	shift := 10 // of a unit, in bytes
	switch m.Unit {
	case "b", "bytes":
		shift = 0
	case "MiB", "M":
		shift = 20
	case "GiB", "G":
		shift = 30
	}
	value := max(m.Value, 0)
	if value > math.MaxInt64>>shift-(1<<20-1)>>shift {
		return mostMiB
	}
	return (value<<shift + 1<<20 - 1) >> 20
}
