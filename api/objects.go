package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

// ObjectReader reads what projects have that is no host's: server groups and key
// pairs, from the node's replica.
type ObjectReader interface {
	Groups(ctx context.Context, q fleet.ObjectQuery) (fleet.List[fleet.Group], error)
	Group(ctx context.Context, ref fleet.ObjectRef) (fleet.Group, error)
	KeyPairs(ctx context.Context, q fleet.ObjectQuery) (fleet.List[fleet.KeyPair], error)
	KeyPair(ctx context.Context, ref fleet.ObjectRef) (fleet.KeyPair, error)
}

// ObjectWriter makes and ends them: each is a record, in force as soon as one
// agent holds it.
type ObjectWriter interface {
	CreateGroup(ctx context.Context, c fleet.CreateGroup, who Principal) (fleet.Group, error)
	CreateKeyPair(ctx context.Context, c fleet.CreateKeyPair, who Principal) (fleet.KeyPair, error)
	// EndObject ends an object of the kind that such records make. By is who asked
	// a registry.
	EndObject(ctx context.Context, kind fleet.RecordKind, ref fleet.ObjectRef, by string, who Principal) (fleet.Decided, error)
}

type objectsIn struct {
	Project string `query:"project" doc:"only those of this project"`
	Name    string `query:"name" doc:"only those with this name"`
	Limit   int    `query:"limit" minimum:"1" maximum:"10000" doc:"objects of a page; 1000 when left out"`
	Marker  string `query:"marker" doc:"next of the page before; one past the end gives an empty page"`
}

func (in *objectsIn) query() (fleet.ObjectQuery, error) {
	q := fleet.ObjectQuery{Project: in.Project, Name: in.Name, Limit: in.Limit}
	if in.Marker == "" {
		return q, nil
	}
	var err error
	q.Marker, err = parseID("marker", in.Marker)
	return q, err
}

type objectIn struct {
	ID      string `path:"id" doc:"its id, or its name"`
	Project string `query:"project" doc:"the project of the name; default when left out"`
}

func (in *objectIn) ref() fleet.ObjectRef {
	return fleet.ObjectRef{IDOrName: in.ID, Project: in.Project}
}

// asker is who sent a request, for inputs that need to know.
type asker struct{ who Principal }

// Resolve implements huma.Resolver.
func (a *asker) Resolve(hc huma.Context) []error {
	a.who = principalOf(humagin.Unwrap(hc))
	return nil
}

type endObjectIn struct {
	ID      string `path:"id" doc:"its id, or its name"`
	Project string `query:"project" doc:"the project of the name; default when left out"`
	By      string `query:"by" doc:"set by a registry that passes a request on; nobody else may"`
	asker
}

type createGroupIn struct {
	Body fleet.CreateGroup
	asker
}

type createKeyPairIn struct {
	Body fleet.CreateKeyPair
	asker
}

// aboutObjects is what the mutations of objects share, for the document.
const aboutObjects = "It is a record, in force as soon as one agent holds it, and answered once three agents (all, where there are fewer) have it in their journals; " +
	"503 too_few_holders says how many do, and the same request may be sent again. "

func (s *server) addObjects() {
	const groups, keyPairs = "/v1/groups", "/v1/keypairs"
	add(s, route{method: http.MethodGet, path: groups, id: "list-groups", tag: "groups", summary: "List server groups, page by page"}, s.listGroups)
	add(s, route{
		method: http.MethodPost, path: groups, id: "create-group", tag: "groups", summary: "Make a server group", status: http.StatusCreated,
		description: aboutObjects + "It never changes. 409 where a group of the project has the name. The hosts keep strict policies whatever races and breaks; soft ones are what placement prefers.",
	}, s.createGroup)
	add(s, route{method: http.MethodGet, path: groups + "/{id}", id: "get-group", tag: "groups", summary: "Show one server group, with its instances and their hosts"}, s.getGroup)
	add(s, route{
		method: http.MethodDelete, path: groups + "/{id}", id: "delete-group", tag: "groups", summary: "Delete a server group",
		description: aboutObjects + "Its instances stay, and stay as they were: a host that has one of an anti-affinity group takes no other.",
	}, s.endObject(fleet.MakeGroup))
	add(s, route{method: http.MethodGet, path: keyPairs, id: "list-keypairs", tag: "keypairs", summary: "List key pairs, page by page"}, s.listKeyPairs)
	add(s, route{
		method: http.MethodPost, path: keyPairs, id: "create-keypair", tag: "keypairs", summary: "Give a public SSH key a name", status: http.StatusCreated,
		description: aboutObjects + "It never changes. 409 where a key pair of the project has the name. Nothing secret is taken: the private key stays with its owner.",
	}, s.createKeyPair)
	add(s, route{method: http.MethodGet, path: keyPairs + "/{id}", id: "get-keypair", tag: "keypairs", summary: "Show one key pair"}, s.getKeyPair)
	add(s, route{
		method: http.MethodDelete, path: keyPairs + "/{id}", id: "delete-keypair", tag: "keypairs", summary: "Delete a key pair",
		description: aboutObjects + "Instances that were created with it keep its public key.",
	}, s.endObject(fleet.MakeKeyPair))
}

func (s *server) listGroups(ctx context.Context, in *objectsIn) (*out[fleet.List[fleet.Group]], error) {
	if err := within(ctx, &in.Project); err != nil {
		return nil, err
	}
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	page, err := s.reads(ctx).Groups(ctx, q)
	if err != nil {
		return nil, err
	}
	page.Items = list(page.Items)
	return &out[fleet.List[fleet.Group]]{page}, nil
}

func (s *server) listKeyPairs(ctx context.Context, in *objectsIn) (*out[fleet.List[fleet.KeyPair]], error) {
	if err := within(ctx, &in.Project); err != nil {
		return nil, err
	}
	q, err := in.query()
	if err != nil {
		return nil, err
	}
	page, err := s.reads(ctx).KeyPairs(ctx, q)
	if err != nil {
		return nil, err
	}
	page.Items = list(page.Items)
	return &out[fleet.List[fleet.KeyPair]]{page}, nil
}

func (s *server) getGroup(ctx context.Context, in *objectIn) (*out[fleet.Group], error) {
	if err := within(ctx, &in.Project); err != nil {
		return nil, err
	}
	group, err := s.reads(ctx).Group(ctx, in.ref())
	if err != nil {
		return nil, err
	}
	return &out[fleet.Group]{group}, nil
}

func (s *server) getKeyPair(ctx context.Context, in *objectIn) (*out[fleet.KeyPair], error) {
	if err := within(ctx, &in.Project); err != nil {
		return nil, err
	}
	pair, err := s.reads(ctx).KeyPair(ctx, in.ref())
	if err != nil {
		return nil, err
	}
	return &out[fleet.KeyPair]{pair}, nil
}

func (s *server) createGroup(ctx context.Context, in *createGroupIn) (*out[fleet.Group], error) {
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	if err := into(ctx, &in.Body.Project); err != nil {
		return nil, err
	}
	group, err := s.core.CreateGroup(ctx, in.Body, in.who)
	if err != nil {
		return nil, err
	}
	return &out[fleet.Group]{group}, nil
}

func (s *server) createKeyPair(ctx context.Context, in *createKeyPairIn) (*out[fleet.KeyPair], error) {
	if err := in.Body.Validate(); err != nil {
		return nil, err
	}
	if err := into(ctx, &in.Body.Project); err != nil {
		return nil, err
	}
	pair, err := s.core.CreateKeyPair(ctx, in.Body, in.who)
	if err != nil {
		return nil, err
	}
	return &out[fleet.KeyPair]{pair}, nil
}

func (s *server) endObject(kind fleet.RecordKind) func(context.Context, *endObjectIn) (*out[fleet.Decided], error) {
	return func(ctx context.Context, in *endObjectIn) (*out[fleet.Decided], error) {
		if err := within(ctx, &in.Project); err != nil {
			return nil, err
		}
		done, err := s.core.EndObject(ctx, kind, fleet.ObjectRef{IDOrName: in.ID, Project: in.Project}, in.By, in.who)
		if err != nil {
			return nil, err
		}
		done.Holders = list(done.Holders)
		return &out[fleet.Decided]{done}, nil
	}
}
