package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"
)

// capabilities is what we read of libvirt's description of the host.
type capabilities struct {
	Host struct {
		UUID string `xml:"uuid"`
		CPU  struct {
			Arch     string `xml:"arch"`
			Model    string `xml:"model"`
			Vendor   string `xml:"vendor"`
			Topology struct {
				Sockets int `xml:"sockets,attr"`
				Dies    int `xml:"dies,attr"`
				Cores   int `xml:"cores,attr"`
				Threads int `xml:"threads,attr"`
			} `xml:"topology"`
			Features []struct {
				Name string `xml:"name,attr"`
			} `xml:"feature"`
			Inner string `xml:",innerxml"`
		} `xml:"cpu"`
		Cells []struct {
			ID     int    `xml:"id,attr"`
			Memory memory `xml:"memory"`
			CPUs   struct {
				Number int `xml:"num,attr"`
			} `xml:"cpus"`
		} `xml:"topology>cells>cell"`
	} `xml:"host"`
	Guests []guestType `xml:"guest"`
}

// guestType is a kind of guests that the host takes.
type guestType struct {
	OS   string `xml:"os_type"`
	Arch struct {
		Name    string `xml:"name,attr"`
		Domains []struct {
			Type string `xml:"type,attr"`
		} `xml:"domain"`
	} `xml:"arch"`
}

func parseCapabilities(text string) (*capabilities, error) {
	var c capabilities
	if err := xml.Unmarshal([]byte(text), &c); err != nil {
		return nil, fmt.Errorf("parse host capabilities: %w", err)
	}
	return &c, nil
}

func (d *Driver) capabilities(ctx context.Context) (*capabilities, error) {
	var text string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		text, err = rpc.ConnectGetCapabilities()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read host capabilities: %w", err)
	}
	return parseCapabilities(text)
}

// offers reports whether guests of the host's own architecture may be of this
// domain type.
func (c *capabilities) offers(domainType string) bool {
	for _, g := range c.Guests {
		if g.Arch.Name != c.Host.CPU.Arch {
			continue
		}
		for _, dom := range g.Arch.Domains {
			if dom.Type == domainType {
				return true
			}
		}
	}
	return false
}

// runs reports whether guests of the host's own architecture may be of this
// kind: hvm, and on Xen xen and xenpvh too.
func (c *capabilities) runs(kind string) bool {
	for _, g := range c.Guests {
		if g.OS == kind && g.Arch.Name == c.Host.CPU.Arch {
			return true
		}
	}
	return false
}

// needsExtension reports whether KVM needs a processor extension that libvirt
// would name: it does on x86.
func (c *capabilities) needsExtension() bool { return c.Host.CPU.Arch == "x86_64" }

// hostCPU is the host's processor in the form that libvirt takes back.
func (c *capabilities) hostCPU() string { return "<cpu>" + c.Host.CPU.Inner + "</cpu>" }

// hasExtension looks for vmx or svm in a processor with its features spelled
// out.
func hasExtension(cpu string) bool {
	has := cpuFeatures(cpu)
	return slices.Contains(has, "vmx") || slices.Contains(has, "svm")
}
