package compute

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// brief is a server in a list of names.
type brief struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Links []any  `json:"links"`
}

// server is a server as microversion 2.1 shows it (Compute API reference, "Show
// Server Details").
type server struct {
	ID         string               `json:"id"`
	Name       string               `json:"name"`
	Status     string               `json:"status"`
	TenantID   string               `json:"tenant_id"`
	UserID     string               `json:"user_id"`
	Metadata   map[string]string    `json:"metadata"`
	HostID     string               `json:"hostId"`
	Image      any                  `json:"image"`
	Flavor     reference            `json:"flavor"`
	Created    string               `json:"created"`
	Updated    string               `json:"updated"`
	Addresses  map[string][]address `json:"addresses"`
	AccessIPv4 string               `json:"accessIPv4"`
	AccessIPv6 string               `json:"accessIPv6"`
	Links      []any                `json:"links"`
	Progress   *int                 `json:"progress,omitempty"`
	Fault      *serverFault         `json:"fault,omitempty"`

	DiskConfig string  `json:"OS-DCF:diskConfig"`
	Zone       string  `json:"OS-EXT-AZ:availability_zone"`
	TaskState  any     `json:"OS-EXT-STS:task_state"`
	VMState    string  `json:"OS-EXT-STS:vm_state"`
	PowerState int     `json:"OS-EXT-STS:power_state"`
	LaunchedAt *string `json:"OS-SRV-USG:launched_at"`
	Terminated *string `json:"OS-SRV-USG:terminated_at"`
	Volumes    []any   `json:"os-extended-volumes:volumes_attached"`
	KeyName    *string `json:"key_name"`
	// ConfigDrive is the word for a boolean, empty for false.
	ConfigDrive string   `json:"config_drive"`
	Groups      []naming `json:"security_groups"`

	*placed
}

// placed is where a server is, for operators.
type placed struct {
	Host       string `json:"OS-EXT-SRV-ATTR:host"`
	Hypervisor string `json:"OS-EXT-SRV-ATTR:hypervisor_hostname"`
	Instance   string `json:"OS-EXT-SRV-ATTR:instance_name"`
}

type reference struct {
	ID    string `json:"id"`
	Links []any  `json:"links"`
}

type naming struct {
	Name string `json:"name"`
}

type address struct {
	Addr    string `json:"addr"`
	Version int    `json:"version"`
	Type    string `json:"OS-EXT-IPS:type"`
	MAC     string `json:"OS-EXT-IPS-MAC:mac_addr"`
}

type serverFault struct {
	Code    int    `json:"code"`
	Created string `json:"created"`
	Message string `json:"message"`
}

// The labels in which the front end keeps what an instance has no field for.
const (
	ownLabels = "openstack."
	userLabel = ownLabels + "user"
	keyLabel  = ownLabels + "key"
)

// defaultGroup is the one security group.
const defaultGroup = "default"

// usageTime is how Nova writes times that gophercloud reads without a zone.
const usageTime = "2006-01-02T15:04:05.000000"

// network is the name under which a server's addresses stand: hosts tell addresses
// and not which network each is on.
const network = "default"

func serverLinks(c *service.Call, id string) []any {
	return []any{link("self", c.Base+Prefix+base+"/servers/"+id), link("bookmark", c.Base+Prefix+"/servers/"+id)}
}

func briefRow(c *service.Call, i *fleet.Instance) brief {
	id := i.ID.String()
	return brief{ID: id, Name: i.Name, Links: serverLinks(c, id)}
}

// row shows an instance. Zones are those of hosts by id.
func row(c *service.Call, i *fleet.Instance, zones map[fleet.HostID]string) server {
	id, s := i.ID.String(), statusOf(i)
	out := server{
		ID: id, Name: i.Name, Status: s.status, TenantID: i.Project, UserID: i.Labels[userLabel], Metadata: metadataOf(i.Labels),
		HostID: strings.ReplaceAll(ids.HostOf(i.Project, i.Host), "-", ""), Image: imageOf(c, i.Image),
		Flavor:  reference{ID: i.Flavor, Links: []any{link("bookmark", c.Base+Prefix+"/flavors/"+i.Flavor)}},
		Created: i.CreatedAt.UTC().Format(time.RFC3339), Updated: i.ObservedAt.UTC().Format(time.RFC3339),
		Addresses: addressesOf(i.Addresses), Links: serverLinks(c, id),
		DiskConfig: "MANUAL", Zone: zones[i.Host], TaskState: s.task, VMState: s.vm, PowerState: s.power,
		Volumes: []any{}, Groups: []naming{{defaultGroup}},
	}
	if s.vm != "building" && !i.CreatedAt.IsZero() {
		launched := i.CreatedAt.UTC().Format(usageTime)
		out.LaunchedAt = &launched
	}
	if key := i.Labels[keyLabel]; key != "" {
		out.KeyName = &key
	}
	if s.status == "ACTIVE" || s.status == "BUILD" {
		done := 0
		out.Progress = &done
	}
	if s.status == "ERROR" {
		out.Fault = &serverFault{Code: 500, Created: out.Updated, Message: i.Fault}
	}
	if !c.Who.OfProject() {
		out.placed = &placed{Host: i.HostName, Hypervisor: i.HostName, Instance: i.Name}
	}
	return out
}

// metadataOf is the labels but for the front end's own.
func metadataOf(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for key, value := range labels {
		if !strings.HasPrefix(key, ownLabels) {
			out[key] = value
		}
	}
	return out
}

// imageOf is the image that a server was made from; the empty text, as for a server
// that boots from a volume, where nothing is known of that.
func imageOf(c *service.Call, digest string) any {
	if digest == "" {
		return ""
	}
	id := ids.Image(digest)
	return reference{ID: id, Links: []any{link("bookmark", c.Base+Prefix+"/images/"+id)}}
}

func addressesOf(texts []string) map[string][]address {
	out := map[string][]address{}
	for _, text := range texts {
		ip, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		version := 4
		if ip.Is6() {
			version = 6
		}
		out[network] = append(out[network], address{Addr: ip.String(), Version: version, Type: "fixed"})
	}
	return out
}

// zonesOf are the zones of all hosts.
func zonesOf(hosts []fleet.Host) map[fleet.HostID]string {
	out := make(map[fleet.HostID]string, len(hosts))
	for i := range hosts {
		out[hosts[i].ID] = zoneName(&hosts[i])
	}
	return out
}

// zoneName is a host's zone; Nova's name for none.
func zoneName(h *fleet.Host) string {
	if h.Zone == "" {
		return "nova"
	}
	return h.Zone
}

// zoneNames are the zones that there are, sorted.
func zoneNames(hosts []fleet.Host) []string {
	var out []string
	for i := range hosts {
		out = append(out, zoneName(&hosts[i]))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
