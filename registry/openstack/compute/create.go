package compute

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"grapevine/api"
	"grapevine/fleet"
	"grapevine/registry/openstack/ids"
	"grapevine/registry/openstack/service"
)

// createBody is the body of POST /servers as far as it is heeded. What a server
// cannot be given here is refused, never left out in silence.
type createBody struct {
	Server struct {
		Name        string            `json:"name"`
		Image       json.RawMessage   `json:"imageRef"`
		Flavor      json.RawMessage   `json:"flavorRef"`
		Key         string            `json:"key_name"`
		UserData    string            `json:"user_data"`
		Metadata    map[string]string `json:"metadata"`
		Zone        string            `json:"availability_zone"`
		Networks    []networkAsked    `json:"networks"`
		MinCount    json.RawMessage   `json:"min_count"`
		MaxCount    json.RawMessage   `json:"max_count"`
		Reservation bool              `json:"return_reservation_id"`
		Personality []json.RawMessage `json:"personality"`
		Volumes     []json.RawMessage `json:"block_device_mapping"`
		Devices     []device          `json:"block_device_mapping_v2"`
		Groups      []naming          `json:"security_groups"`
		Password    string            `json:"adminPass"`
	} `json:"server"`
	Hints  hints `json:"os:scheduler_hints"`
	Hints2 hints `json:"OS-SCH-HNT:scheduler_hints"`
}

type hints struct {
	Group string `json:"group"`
}

type networkAsked struct {
	UUID  string `json:"uuid"`
	Port  string `json:"port"`
	Fixed string `json:"fixed_ip"`
}

// device is a block device that a server is to have. The one that clients ask for
// in place of imageRef, a first disk from an image, is what imageRef gives.
type device struct {
	UUID        string `json:"uuid"`
	Source      string `json:"source_type"`
	Destination string `json:"destination_type"`
	BootIndex   any    `json:"boot_index"`
}

// keyHeader makes a create one, however often it is sent. Nova has nothing like it.
const keyHeader = "Idempotency-Key"

func bad(format string, args ...any) error {
	return service.Fail(fleet.CodeBadRequest, fmt.Sprintf(format, args...))
}

func (n *nova) createServer(c *service.Call) (service.Reply, error) {
	raw, body := json.RawMessage{}, createBody{}
	if err := c.Body(&raw); err != nil {
		return service.Reply{}, err
	}
	if err := service.Decode(raw, &body); err != nil {
		return service.Reply{}, err
	}
	ask, err := body.create(c)
	if err != nil {
		return service.Reply{}, err
	}
	least, most, err := body.counts()
	if err != nil {
		return service.Reply{}, err
	}
	if key := c.Request.Header.Get(keyHeader); key != "" {
		if err := fleet.CheckName(keyHeader, key); err != nil {
			return service.Reply{}, err
		}
	}
	made, err := createAll(c, ask, raw, least, most)
	if err != nil {
		return service.Reply{}, err
	}
	id := made.Instance.ID.String()
	row := map[string]any{"id": id, "links": serverLinks(c, id), "OS-DCF:diskConfig": "MANUAL", "security_groups": []naming{{defaultGroup}}}
	return service.Reply{
		Status: http.StatusAccepted, Header: http.Header{"Location": {c.Base + Prefix + base + "/servers/" + id}},
		Body: map[string]any{"server": row},
	}, nil
}

// create is the request in the core's words.
func (b *createBody) create(c *service.Call) (fleet.Create, error) {
	s := &b.Server
	out := fleet.Create{Name: s.Name, Labels: map[string]string{userLabel: c.Who.Person.User}, KeyPair: s.Key, Group: b.Hints.Group + b.Hints2.Group}
	if err := fleet.CheckName("name", s.Name); err != nil {
		return out, err
	}
	switch {
	case len(s.Personality) > 0:
		return out, bad("personality is not served; give the files in user_data, as cloud-init's write_files.")
	case len(s.Volumes) > 0:
		return out, bad("block_device_mapping is not served, for there are no volumes; give imageRef.")
	case s.Password != "":
		return out, bad("adminPass is not served; give a key pair, or set a password by user_data.")
	case slices.ContainsFunc(s.Groups, func(g naming) bool { return g.Name != defaultGroup }):
		return out, bad("There is no security group but %s, which filters nothing.", defaultGroup)
	case s.Reservation:
		return out, bad("return_reservation_id is not served; list the servers by their name.")
	}
	if s.Key != "" {
		out.Labels[keyLabel] = s.Key
	}
	for key := range s.Metadata {
		if strings.HasPrefix(key, ownLabels) {
			return out, bad("Metadata keys that begin with %s are the front end's own.", ownLabels)
		}
	}
	maps.Copy(out.Labels, s.Metadata)
	if err := fleet.CheckLabels(out.Labels); err != nil {
		return out, err
	}
	userData, err := base64.StdEncoding.DecodeString(s.UserData)
	if err != nil {
		return out, bad("User data needs to be valid base 64.")
	}
	out.UserData = string(userData)
	if err := c.Who.Into(&out.Project); err != nil {
		return out, err
	}
	if out.Flavor, err = flavorNamed(c, last(word(s.Flavor))); err != nil {
		return out, err
	}
	for _, resolve := range []func(*service.Call, *fleet.Create) error{b.image, b.place, b.networks} {
		if err := resolve(c, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// word reads what clients send as a text or as a number.
func word(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// last is the last part of a reference: references may be whole addresses.
func last(reference string) string { return reference[strings.LastIndexByte(reference, '/')+1:] }

func (b *createBody) image(c *service.Call, out *fleet.Create) error {
	wanted := last(word(b.Server.Image))
	for _, d := range b.Server.Devices {
		first := fmt.Sprint(d.BootIndex) == "0"
		if d.Source != "image" || d.Destination != "local" || !first || wanted != "" && wanted != d.UUID {
			return bad("A block device that is not a first disk from an image is not served: there are no volumes.")
		}
		wanted = d.UUID
	}
	if wanted == "" {
		return bad("Give imageRef, the image that the server is made from.")
	}
	images, err := c.Core.Images(c.Context())
	if err != nil {
		return err
	}
	for i := range images.Items {
		if ids.Image(images.Items[i].ID) == wanted || images.Items[i].ID == wanted {
			out.Image = images.Items[i].ID
			return nil
		}
	}
	return bad("Can not find requested image %.80s.", wanted)
}

// place reads zone:host:node, of which operators alone may name more than the zone.
func (b *createBody) place(c *service.Call, out *fleet.Create) error {
	zone, host, forced := strings.Cut(b.Server.Zone, ":")
	if zone == "" && !forced {
		return nil
	}
	hosts, err := c.Core.Hosts(c.Context())
	if err != nil {
		return err
	}
	if out.Zone = zone; zone == "nova" {
		out.Zone = ""
	}
	found := zone == "" || zone == "nova"
	for i := range hosts.Items {
		found = found || hosts.Items[i].Zone == zone
	}
	if !found {
		return bad("The requested availability zone is not available: %.80s.", zone)
	}
	if forced {
		if c.Who.OfProject() {
			return service.Fail(fleet.CodeForbidden, "Only operators say on which host a server is to be.")
		}
		out.Host, _, _ = strings.Cut(host, ":")
	}
	return nil
}

func (b *createBody) networks(c *service.Call, out *fleet.Create) error {
	if len(b.Server.Networks) == 0 {
		return nil
	}
	names, err := NetworkNames(c)
	if err != nil {
		return err
	}
	for _, asked := range b.Server.Networks {
		name, known := names[asked.UUID]
		switch {
		case asked.Port != "" || asked.Fixed != "":
			return bad("Ports and fixed addresses are not served; name networks by their uuid.")
		case !known:
			return bad("Network %.80s could not be found.", asked.UUID)
		}
		out.Networks = append(out.Networks, fleet.NIC{Network: name})
	}
	return nil
}

// NetworkNames are the names of all networks of hosts by their ids.
func NetworkNames(c *service.Call) (map[string]string, error) {
	hosts, err := c.Core.Hosts(c.Context())
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for i := range hosts.Items {
		for _, name := range hosts.Items[i].Networks {
			out[ids.Network(name)] = name
		}
	}
	return out, nil
}

// counts are how many servers are to be made, at least and at most.
func (b *createBody) counts() (least, most int, err error) {
	least, most = 1, 1
	for _, n := range []struct {
		raw  json.RawMessage
		into *int
	}{{b.Server.MinCount, &least}, {b.Server.MaxCount, &most}} {
		if len(n.raw) == 0 || string(n.raw) == "null" {
			continue
		}
		if *n.into, err = strconv.Atoi(word(n.raw)); err != nil || *n.into < 1 || *n.into > fleet.MaxBatch {
			return 0, 0, bad("min_count and max_count are whole numbers of 1 to %d.", fleet.MaxBatch)
		}
	}
	if len(b.Server.MaxCount) == 0 {
		most = max(least, most)
	}
	if least > most {
		return 0, 0, bad("min_count must be <= max_count")
	}
	return least, most, nil
}

// createAll makes the servers one after the other, and returns the first. Where
// fewer than the least can be made, those that were are deleted again.
func createAll(c *service.Call, ask fleet.Create, raw []byte, least, most int) (fleet.Accepted, error) {
	sum := sha256.Sum256(raw)
	key := c.Request.Header.Get(keyHeader)
	one, name := c.Core.Batch(), ask.Name
	var made []fleet.Accepted
	for i := range most {
		create := api.CreateInstance{Create: ask, Key: key, Hash: hex.EncodeToString(sum[:])}
		if most > 1 {
			create.Name = fmt.Sprintf("%s-%d", name, i+1)
			create.Key = fleet.BatchKey(key, i+1)
		}
		accepted, err := one(c.Context(), create)
		if err == nil {
			made = append(made, accepted)
			seen(c, accepted.Version)
			continue
		}
		if len(made) >= least {
			break
		}
		for _, m := range made {
			if _, undone := c.Core.DeleteInstance(c.Context(), m.Instance.ID); undone != nil {
				c.Log.ErrorContext(c.Context(), "server of a create that failed could not be deleted", "instance", m.Instance.ID.String(), "error", undone)
			}
		}
		return fleet.Accepted{}, err
	}
	return made[0], nil
}

// seen waits a moment for this node to show what was promised, so that who asks it
// next is shown it. An error is not the request's.
func seen(c *service.Call, at fleet.Version) {
	_, _ = c.Core.AtLeast(c.Context(), at)
}
