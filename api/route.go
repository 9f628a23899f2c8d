package api

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

// route is what a handler file says of one route.
type route struct {
	method, path string
	id, summary  string
	tag          string
	description  string
	status       int    // of success; 0: 200
	media        string // of an answer that is a stream; documented and no more
}

// body is how a route takes its request's body.
type body int

const (
	noBody body = iota
	jsonBody
	streamBody
)

// served is what the middlewares know of a route.
type served struct {
	name  string   // method and path as in the access table
	query []string // the parameters it knows, sorted
	many  []string // those of them that may be repeated
	body  body
	dated bool // it heeds Grapevine-At-Least
}

// add registers a route with huma. Its handler's errors become problem
// documents; those without a code are logged.
func add[I, O any](s *server, r route, handle func(context.Context, *I) (*O, error)) {
	name := r.method + " " + r.path
	if access[name] == nil {
		panic("route " + name + " is not in the access table")
	}
	op := huma.Operation{
		OperationID: r.id, Method: r.method, Path: r.path, Summary: r.summary, Description: r.description,
		Tags: []string{r.tag}, DefaultStatus: r.status,
		// bodied has read the body by then, under its own limit and deadline.
		MaxBodyBytes: fleet.MaxBodyBytes + 1, BodyReadTimeout: -1,
		Responses: map[string]*huma.Response{"default": s.problemResponse()},
	}
	if r.media != "" {
		op.Responses["200"] = &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{r.media: {Schema: &huma.Schema{Type: huma.TypeString}}}}
	}
	handle = scopedHandler(s, name, handle)
	if r.dated() {
		op.Parameters = append(op.Parameters, s.atLeastParameter())
		handle = datedHandler(s, handle)
	}
	huma.Register(s.api, op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err != nil {
			return nil, s.refuse(ctx, name, err)
		}
		return out, nil
	})
	known := describe(name, reflect.TypeFor[I]())
	known.dated = r.dated()
	s.routes[r.method+" "+ginPath(r.path)] = known
}

// refuse turns a handler's error into its document.
func (s *server) refuse(ctx context.Context, name string, err error) error {
	var known *fleet.Error
	if !errors.As(err, &known) && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "request failed", "route", name, "error", err)
	}
	p := problemOf(err)
	tell(ctx, p.Code)
	return p
}

// describe reads off an input type what its route takes.
func describe(name string, in reflect.Type) *served {
	out := &served{name: name}
	for _, field := range reflect.VisibleFields(in) {
		if tag := field.Tag.Get("query"); tag != "" {
			parameter, _, repeated := strings.Cut(tag, ",")
			out.query = append(out.query, parameter)
			if repeated {
				out.many = append(out.many, parameter)
			}
		}
		if field.Name == "Body" {
			out.body = jsonBody
		}
	}
	if _, streams := reflect.TypeAssert[interface{ streamed() }](reflect.New(in)); streams {
		out.body = streamBody
	}
	slices.Sort(out.query)
	return out
}

// ginPath writes {id} as gin does.
func ginPath(path string) string {
	return strings.NewReplacer("{", ":", "}", "").Replace(path)
}
