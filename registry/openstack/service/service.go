package service

import (
	"net/http"

	"grapevine/api"
	"grapevine/fleet"
)

// Service is one of OpenStack's services.
type Service struct {
	// Type is that of the catalogue, such as compute, and Prefix that of its paths.
	Type, Prefix string
	// Fault returns the body of an error.
	Fault func(status int, detail string) any
	// Headers adds those of every answer of the service; nil for none.
	Headers func(h http.Header, version Microversion, requestID string)
	// Version reads the microversion that a request asks for; nil where the service
	// has none. Its error becomes a fault like any other.
	Version func(h http.Header) (Microversion, error)
	// Routes are all that it serves.
	Routes []Route
}

// Route is one route of a service.
type Route struct {
	// Method and Path are as in patterns of http.ServeMux; the path is below the
	// service's prefix, without a slash at the end: requests may have one.
	Method, Path string
	// Roles may use it; nil is anyone.
	Roles Roles
	// Handle answers.
	Handle func(*Call) (Reply, error)
}

// Roles are those that a route is open to.
type Roles []api.PrincipalRole

// The groups of roles that routes are open to. Certificates of nodes are for the
// native API.
var (
	Everybody Roles
	People    = Roles{api.AsAdmin, api.AsOperator, api.AsMember, api.AsReader}
	Members   = Roles{api.AsAdmin, api.AsOperator, api.AsMember}
	Operators = Roles{api.AsAdmin, api.AsOperator}
)

// Reply is an answer. A nil body is none at all.
type Reply struct {
	Status int // 0: 200
	Header http.Header
	Body   any
}

// OK is the answer with this body.
func OK(body any) (Reply, error) { return Reply{Body: body}, nil }

// Fail returns an error that is told to the client.
func Fail(code fleet.Code, detail string) error { return &fleet.Error{Code: code, Detail: detail} }

// NotFound is the error of something that is not there.
func NotFound(what, name string) error {
	return Fail(fleet.CodeNotFound, what+" "+name+" could not be found.")
}
