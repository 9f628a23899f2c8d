package compute

import (
	"net/http"
	"strings"

	"grapevine/fleet"
	"grapevine/registry/openstack/service"
)

// Key pairs are the project's, as everywhere in the fleet: who logs in for another
// project has others there. In Nova they are a user's.

func keyPairRow(k *fleet.KeyPair) map[string]any {
	return map[string]any{"name": k.Name, "public_key": k.PublicKey, "fingerprint": k.Fingerprint}
}

func (n *nova) listKeyPairs(c *service.Call) (service.Reply, error) {
	q := fleet.ObjectQuery{Project: c.Who.Person.Project, Limit: maxPage}
	rows := []any{}
	for {
		found, err := c.Core.KeyPairs(c.Context(), q)
		if err != nil {
			return service.Reply{}, err
		}
		for i := range found.Items {
			rows = append(rows, map[string]any{"keypair": keyPairRow(&found.Items[i])})
		}
		if found.Next == "" {
			return service.OK(map[string]any{"keypairs": rows})
		}
		if q.Marker, err = fleet.ParseUUID(found.Next); err != nil {
			return service.Reply{}, err
		}
	}
}

// keyPair returns the key pair of a path.
func keyPair(c *service.Call) (fleet.KeyPair, error) {
	name := c.Path("name")
	found, err := c.Core.KeyPairs(c.Context(), fleet.ObjectQuery{Project: c.Who.Person.Project, Name: name, Limit: 1})
	switch {
	case err != nil:
		return fleet.KeyPair{}, err
	case len(found.Items) == 0:
		return fleet.KeyPair{}, service.NotFound("Keypair", firstOf(name))
	}
	return found.Items[0], nil
}

func (n *nova) createKeyPair(c *service.Call) (service.Reply, error) {
	var body struct {
		KeyPair struct {
			Name      string `json:"name"`
			PublicKey string `json:"public_key"`
		} `json:"keypair"`
	}
	if err := c.Body(&body); err != nil {
		return service.Reply{}, err
	}
	ask := fleet.CreateKeyPair{Name: body.KeyPair.Name, PublicKey: strings.TrimSpace(body.KeyPair.PublicKey)}
	if ask.PublicKey == "" {
		return service.Reply{}, bad("Give public_key: a private key is made by its owner and never seen here (ssh-keygen -t ed25519).")
	}
	if err := c.Who.Into(&ask.Project); err != nil {
		return service.Reply{}, err
	}
	if err := ask.Validate(); err != nil {
		return service.Reply{}, err
	}
	found, err := c.Core.KeyPairs(c.Context(), fleet.ObjectQuery{Project: ask.Project, Name: ask.Name, Limit: 1})
	if err != nil {
		return service.Reply{}, err
	}
	if len(found.Items) > 0 {
		return service.Reply{}, service.Fail(fleet.CodeConflict, "Key pair '"+ask.Name+"' already exists.")
	}
	made, err := c.Core.CreateKeyPair(c.Context(), ask, c.Who)
	if err != nil {
		return service.Reply{}, err
	}
	row := keyPairRow(&made)
	row["user_id"] = c.Who.Person.User
	return service.OK(map[string]any{"keypair": row})
}

func (n *nova) showKeyPair(c *service.Call) (service.Reply, error) {
	k, err := keyPair(c)
	if err != nil {
		return service.Reply{}, err
	}
	row := keyPairRow(&k)
	row["id"], row["user_id"], row["created_at"] = 1, c.Who.Person.User, k.CreatedAt.UTC().Format(usageTime)
	row["deleted"], row["deleted_at"], row["updated_at"] = false, nil, nil
	return service.OK(map[string]any{"keypair": row})
}

func (n *nova) deleteKeyPair(c *service.Call) (service.Reply, error) {
	k, err := keyPair(c)
	if err == nil {
		_, err = c.Core.EndObject(c.Context(), fleet.MakeKeyPair, fleet.ObjectRef{IDOrName: k.ID.String(), Project: k.Project}, "", c.Who)
	}
	return service.Reply{Status: http.StatusAccepted}, err
}
