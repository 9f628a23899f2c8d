package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"grapevine/api"
	"grapevine/fleet"
)

// Call is one request to a service.
type Call struct {
	api.Front
	Who     api.Principal
	Version Microversion
	// Base is the address of the registry as the client called it, such as
	// http://127.0.0.1:7948.
	Base string

	Request *http.Request
	query   url.Values
}

// Context ends with the request.
func (c *Call) Context() context.Context { return c.Request.Context() }

// Path returns a part of the path by its name in the route.
func (c *Call) Path(name string) string { return c.Request.PathValue(name) }

// Query returns the parameters of the request.
func (c *Call) Query() url.Values {
	if c.query == nil {
		c.query = c.Request.URL.Query()
	}
	return c.query
}

// Body reads a JSON body into a pointer. Keys that it does not have are passed over:
// clients send what other services would heed.
func (c *Call) Body(into any) error {
	content, err := io.ReadAll(http.MaxBytesReader(nil, c.Request.Body, fleet.MaxBodyBytes))
	if _, over := errors.AsType[*http.MaxBytesError](err); over {
		return Fail(fleet.CodeTooLarge, fmt.Sprintf("The body is longer than %d bytes.", fleet.MaxBodyBytes))
	}
	if err != nil {
		return Fail(fleet.CodeBadRequest, "The body did not come whole.")
	}
	return Decode(content, into)
}

// Decode reads JSON that a client sent.
func Decode(content []byte, into any) error {
	if err := json.Unmarshal(content, into); err != nil {
		return Fail(fleet.CodeBadRequest, "The body cannot be read: "+reason(err))
	}
	return nil
}

// reason tells where JSON is wrong without repeating what may be secret in it.
func reason(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s is a JSON %s, not what belongs there.", wrong.Field, kind(wrong.Value))
	}
	return "it is not JSON."
}

// kind is the first word of what the decoder met: the rest is the value.
func kind(value string) string {
	for i, r := range value {
		if r == ' ' {
			return value[:i]
		}
	}
	return value
}

// Project returns the project whose things a listing shows: that of the token, or
// for who may see all of them the one that is asked for, empty for all.
func (c *Call) Project(asked string, all bool) (string, error) {
	if asked == "" && !all {
		asked = c.Who.Person.Project
	}
	return asked, c.Who.Within(&asked)
}
