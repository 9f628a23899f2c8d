package api

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gin-gonic/gin"

	"grapevine/fleet"
)

// document returns the OpenAPI document that routes are added to.
func (s *server) document() *huma.OpenAPI {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.RegisterTypeAlias(reflect.TypeFor[fleet.UUID](), reflect.TypeFor[uuidText]())
	registry.RegisterTypeAlias(reflect.TypeFor[fleet.Version](), reflect.TypeFor[versionText]())
	registry.RegisterTypeAlias(reflect.TypeFor[fleet.RefusalCode](), reflect.TypeFor[refusalText]())
	return &huma.OpenAPI{
		Info: &huma.Info{
			Title: "Grapevine", Version: s.opts.Version,
			Description: "Virtual machines on a fleet of hypervisor hosts, without a central database. " +
				"The same API is served by registries, for the whole fleet, and by agents, which answer reads for the whole fleet and take writes for their own host. " +
				"Every error is an RFC 9457 problem document with a stable code. Query parameters and JSON fields that are not known are errors.",
		},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"certificate": {Type: "mutualTLS", Description: "a certificate of the fleet's CA"},
				"token":       {Type: "http", Scheme: "bearer"},
			},
		},
		Security: []map[string][]string{{"certificate": {}}, {"token": {}}},
	}
}

// uuidText stands for fleet.UUID in the document: package fleet imports nothing
// and so cannot describe itself to huma.
type uuidText struct{}

// Schema implements huma.SchemaProvider.
func (uuidText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid", Description: "a UUID; empty for none"}
}

// versionText stands for fleet.Version in the document.
type versionText struct{}

// Schema implements huma.SchemaProvider.
func (versionText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^([0-9A-Fa-f-]{36}:[0-9]+:[0-9]+)?$`, PatternDescription: "host:epoch:seq",
		Description: "how new a host's account of itself is: host:epoch:seq; versions of one host are ordered",
	}
}

// refusalText stands for fleet.RefusalCode in the document.
type refusalText struct{}

// Schema implements huma.SchemaProvider.
func (refusalText) Schema(huma.Registry) *huma.Schema {
	codes := fleet.RefusalCodes()
	words := make([]any, len(codes))
	for i, code := range codes {
		words[i] = string(code)
	}
	return &huma.Schema{Type: huma.TypeString, Enum: words, Description: "stable; a later release may know more"}
}

// problemResponse documents what every route answers when it fails.
func (s *server) problemResponse() *huma.Response {
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "Problem")
	return &huma.Response{
		Description: "Problem",
		Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
	}
}

// serveDocument settles the document once all routes are known. It is written
// when somebody first asks for it: few do, and writing it takes as long as much
// else of a node's start.
func (s *server) serveDocument() {
	schemas := s.api.OpenAPI().Components.Schemas.Map()
	// Huma's own error shape is never sent: asProblem sees to that.
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
	for _, schema := range schemas {
		for _, property := range schema.Properties {
			// Lists are rendered as [] and never as null.
			property.Nullable = property.Nullable && property.Type != huma.TypeArray
		}
	}
	content := sync.OnceValue(func() []byte {
		content, err := json.Marshal(s.api.OpenAPI())
		if err != nil {
			panic(fmt.Sprintf("OpenAPI document does not encode: %v", err))
		}
		return content
	})
	s.routes["GET /openapi.json"] = &served{name: "GET /openapi.json"}
	s.engine.GET("/openapi.json", func(c *gin.Context) { c.Data(200, "application/openapi+json", content()) })
}
