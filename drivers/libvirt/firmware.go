package libvirt

import (
	"context"
	"encoding/xml"
	"fmt"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"grapevine/drivers/libvirt/session"
)

// firmwares are those that libvirt can choose for a guest, in its own words.
func (d *Driver) firmwares(ctx context.Context, caps *capabilities) ([]string, error) {
	var text string
	err := d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		text, err = rpc.ConnectGetDomainCapabilities(nil, golibvirt.OptString{caps.Host.CPU.Arch}, machineOf(caps.Host.CPU.Arch), nil, 0)
		return err
	})
	if session.Unanswered(err) {
		return nil, fmt.Errorf("read guest capabilities: %w", err)
	}
	if err != nil {
		return nil, nil // libvirt's mock, or one that is too old, has none to choose from
	}
	return parseFirmwares(text), nil
}

// parseFirmwares reads libvirt's account of what a guest can have.
func parseFirmwares(text string) []string {
	var seen struct {
		Enums []struct {
			Name   string   `xml:"name,attr"`
			Values []string `xml:"value"`
		} `xml:"os>enum"`
	}
	if xml.Unmarshal([]byte(text), &seen) != nil {
		return nil
	}
	for _, enum := range seen.Enums {
		if enum.Name == "firmware" {
			return enum.Values
		}
	}
	return nil
}

// uefi lets libvirt choose the firmware. Secure boot is off: what it trusts is
// for people to decide, and most images do not boot with it.
func uefi(dom *libvirtxml.Domain) {
	dom.OS.Firmware = "efi"
	dom.OS.FirmwareInfo = &libvirtxml.DomainOSFirmwareInfo{Features: []libvirtxml.DomainOSFirmwareFeature{
		{Name: "secure-boot", Enabled: "no"},
	}}
}
