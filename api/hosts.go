package api

import (
	"context"
	"net/http"

	"grapevine/fleet"
)

type hostAction struct {
	ID     string `path:"id" doc:"its id"`
	Action string `path:"action" doc:"cordon: take no new instances; uncordon: take them again"`
}

type hostQuery struct {
	Label []string `query:"label,explode" example:"rack=r12" doc:"key=value of the host's labels; may be repeated, all must match"`
}

// hostOut is a host's row with the version under which the change is visible.
type hostOut struct {
	Version string `header:"Grapevine-Version"`
	Body    fleet.Host
}

func (s *server) addHosts() {
	add(s, route{method: http.MethodGet, path: "/v1/hosts", id: "list-hosts", tag: "hosts", summary: "List the hosts of the fleet"}, s.listHosts)
	add(s, route{method: http.MethodGet, path: "/v1/hosts/{id}", id: "get-host", tag: "hosts", summary: "Show one host"}, s.getHost)
	add(s, route{
		method: http.MethodGet, path: "/v1/hosts/{id}/hardware", id: "get-hardware", tag: "hosts", summary: "Show what a host is made of",
		description: "The host is asked: its processors and NUMA cells, storage pools, networks, and devices worth naming. What its hypervisor does not tell is empty.",
	}, s.getHardware)
	s.addDrain()
	s.addVerify()
	add(s, route{
		method: http.MethodPost, path: "/v1/hosts/{id}/{action}", id: "act-host", tag: "hosts", summary: "Cordon or uncordon a host",
		description: "The host has done it durably when this answers.",
	}, s.actHost)
	s.addRelease()
}

func (s *server) listHosts(ctx context.Context, in *hostQuery) (*out[fleet.List[fleet.Host]], error) {
	labels, err := parseLabels(in.Label)
	if err != nil {
		return nil, err
	}
	hosts, err := s.reads(ctx).Hosts(ctx)
	if err != nil {
		return nil, err
	}
	hosts.Items = withLabels(hosts.Items, labels)
	seen := func(h fleet.Host) fleet.Host { return presentHost(veil(ctx, h)) }
	return &out[fleet.List[fleet.Host]]{presentList(hosts, seen)}, nil
}

func (s *server) getHost(ctx context.Context, in *freshIn) (*out[fleet.Host], error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	from := s.reads(ctx)
	host, err := read(ctx, in.Fresh, id, from.Host, from.FreshHost, from.OwnHost)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Host]{presentHost(veil(ctx, host))}, nil
}

func (s *server) getHardware(ctx context.Context, in *named) (*out[fleet.Hardware], error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	hw, err := s.reads(ctx).Hardware(ctx, id)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Hardware]{hw}, nil
}

func (s *server) actHost(ctx context.Context, in *hostAction) (*hostOut, error) {
	id, err := parseID("host", in.ID)
	if err != nil {
		return nil, err
	}
	action := fleet.HostAction(in.Action)
	if action != fleet.Cordon && action != fleet.Uncordon {
		return nil, invalid("host action %.40q is not one of cordon, uncordon", in.Action)
	}
	host, err := s.core.ActHost(ctx, id, action)
	if err != nil {
		return nil, err
	}
	return &hostOut{Version: host.Version.String(), Body: presentHost(host)}, nil
}

// withLabels returns the hosts that have all of the labels; the rows belong to
// whoever gave them.
func withLabels(hosts []fleet.Host, labels map[string]string) []fleet.Host {
	if len(labels) == 0 {
		return hosts
	}
	var out []fleet.Host
	for i := range hosts {
		if hosts[i].HasLabels(labels) {
			out = append(out, hosts[i])
		}
	}
	return out
}
