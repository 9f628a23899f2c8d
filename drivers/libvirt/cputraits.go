package libvirt

import (
	"context"
	"encoding/xml"
	"slices"

	golibvirt "github.com/digitalocean/go-libvirt"

	"grapevine/drivers/libvirt/session"
	"grapevine/fleet"
)

// toldFeatures are the features of a processor that programs are built for, and
// so choose a host by.
var toldFeatures = []string{"aes", "avx2", "avx512f", "sha-ni"}

// expandCPU returns the host's processor with its features spelled out: models
// imply some, and libvirt's capabilities list only the others.
func (d *Driver) expandCPU(ctx context.Context, caps *capabilities) (expanded string, err error) {
	err = d.session.Call(ctx, func(rpc *golibvirt.Libvirt) (err error) {
		expanded, err = rpc.ConnectBaselineCPU([]string{caps.hostCPU()}, golibvirt.ConnectBaselineCPUExpandFeatures)
		return err
	})
	return expanded, err
}

// cpuTraits are those of toldFeatures that guests find here: none under
// emulation. Where libvirt cannot spell the processor out, what it lists counts.
func (d *Driver) cpuTraits(ctx context.Context, caps *capabilities, g guests) ([]string, error) {
	if g.how == TCG {
		return nil, nil
	}
	expanded, err := d.expandCPU(ctx, caps)
	if session.Unanswered(err) {
		return nil, err
	}
	if err != nil {
		expanded = caps.hostCPU()
	}
	return cpuTraits(expanded), nil
}

func cpuTraits(cpu string) (traits []string) {
	has := cpuFeatures(cpu)
	for _, f := range toldFeatures {
		if slices.Contains(has, f) {
			traits = append(traits, fleet.TraitCPUPrefix+f)
		}
	}
	return traits
}

// cpuFeatures are the features that a processor's XML says it has.
func cpuFeatures(cpu string) (has []string) {
	var seen struct {
		Features []struct {
			Name   string `xml:"name,attr"`
			Policy string `xml:"policy,attr"`
		} `xml:"feature"`
	}
	if err := xml.Unmarshal([]byte(cpu), &seen); err != nil {
		return nil
	}
	for _, f := range seen.Features {
		if f.Policy != "disable" && f.Policy != "forbid" {
			has = append(has, f.Name)
		}
	}
	return has
}
