package service

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"grapevine/api"
	"grapevine/fleet"
)

// handler serves one service.
type handler struct {
	Service
	front api.Front
	base  string // see Settings
	mux   *http.ServeMux
}

// requestIDHeader is what clients show where something went wrong.
const requestIDHeader = "X-Openstack-Request-Id"

// Open returns the guarded handlers of services, by prefix. Base is the address by
// which clients call the registry; empty: as each of them does.
func Open(front api.Front, base string, services ...Service) map[string]http.Handler {
	byPrefix := map[string]*handler{}
	for _, s := range services {
		byPrefix[s.Prefix] = newHandler(front, base, s)
	}
	of := func(r *http.Request) *handler {
		prefix, _, _ := strings.Cut(r.URL.Path[1:], "/")
		return byPrefix["/"+prefix]
	}
	guarded := api.Guard{
		Front:  front,
		Token:  func(r *http.Request) string { return r.Header.Get("X-Auth-Token") },
		Refuse: func(w http.ResponseWriter, r *http.Request, err error) { of(r).refuse(w, Microversion{}, err) },
	}.Before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { of(r).ServeHTTP(w, r) }))
	out := map[string]http.Handler{}
	for prefix := range byPrefix {
		out[prefix] = guarded
	}
	return out
}

func newHandler(front api.Front, base string, s Service) *handler {
	h := &handler{Service: s, front: front, base: base, mux: http.NewServeMux()}
	for i := range s.Routes {
		route := &s.Routes[i]
		path := route.Path
		if path == "" {
			path = "/{$}"
		}
		h.mux.HandleFunc(route.Method+" "+path, func(w http.ResponseWriter, r *http.Request) { h.serve(w, r, route) })
	}
	return h
}

// ServeHTTP implements http.Handler: paths below the prefix, with or without a
// slash at the end, which must not be answered by a redirect: some clients follow
// one of a POST by a GET.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	below := r.Clone(r.Context())
	below.URL.Path = h.below(r.URL.Path)
	if r.URL.RawPath != "" {
		below.URL.RawPath = h.below(r.URL.RawPath)
	}
	if _, pattern := h.mux.Handler(below); pattern == "" {
		h.refuse(w, Microversion{}, h.missing(below))
		return
	}
	h.mux.ServeHTTP(w, below)
}

// below is a path under the prefix.
func (h *handler) below(path string) string {
	return "/" + strings.Trim(strings.TrimPrefix(path, h.Prefix), "/")
}

// missing tells a path that is not there from a method that is not.
func (h *handler) missing(r *http.Request) error {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		other := r.Clone(r.Context())
		other.Method = method
		if _, pattern := h.mux.Handler(other); pattern != "" {
			return Fail(fleet.CodeMethodNotAllowed, "The method is not allowed for this resource.")
		}
	}
	return Fail(fleet.CodeNotFound, "The resource could not be found.")
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, route *Route) {
	version, err := Microversion{}, error(nil)
	if h.Version != nil {
		version, err = h.Version(r.Header)
	}
	who := api.Who(r.Context())
	if err == nil {
		err = admitted(route, who)
	}
	var reply Reply
	if err == nil {
		reply, err = route.Handle(&Call{Front: h.front, Who: who, Version: version, Base: cmp.Or(h.base, base(r)), Request: r})
	}
	if err != nil {
		h.refuse(w, version, who.Veil(err))
		return
	}
	h.write(w, version, reply)
}

// admitted judges by the route's roles. Whoever shows no good token is asked for one
// with 401: clients log in anew then, and once more only.
func admitted(route *Route, who api.Principal) error {
	if route.Roles == nil {
		return nil
	}
	for _, role := range route.Roles {
		if who.Role == role && (who.Person.User != "") {
			return nil
		}
	}
	switch {
	case who.Refused != nil:
		return who.Refused
	case who.Person.User == "":
		return Fail(fleet.CodeUnauthenticated, "The request you have made requires authentication.")
	default:
		return Fail(fleet.CodeForbidden, fmt.Sprintf("Policy doesn't allow this to be performed by the role %s.", who.Role))
	}
}

// base is the address by which a client calls the registry.
func base(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

func (h *handler) refuse(w http.ResponseWriter, version Microversion, err error) {
	status := statusOf(err)
	if status == http.StatusInternalServerError {
		h.front.Log.ErrorContext(context.Background(), "request failed", "service", h.Type, "error", err)
	}
	header := http.Header{}
	switch status {
	case http.StatusUnauthorized:
		header.Set("WWW-Authenticate", `Keystone uri="/identity/v3"`)
	case http.StatusTooManyRequests:
		header.Set("Retry-After", "1")
	}
	h.write(w, version, Reply{Status: status, Header: header, Body: h.Fault(status, detailOf(err))})
}

func (h *handler) write(w http.ResponseWriter, version Microversion, reply Reply) {
	header := w.Header()
	maps.Copy(header, reply.Header)
	id := newRequestID()
	header.Set(requestIDHeader, id)
	if h.Headers != nil {
		h.Headers(header, version, id)
	}
	status := cmp.Or(reply.Status, http.StatusOK)
	if reply.Body == nil {
		w.WriteHeader(status)
		return
	}
	content, err := json.Marshal(reply.Body)
	if err != nil {
		h.front.Log.ErrorContext(context.Background(), "request failed", "service", h.Type, "error", err)
		status, content = http.StatusInternalServerError, []byte("{}")
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(content) // whoever asked has gone
}

// newRequestID is of the form that clients look for: req- and a UUID.
func newRequestID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: see crypto/rand
	return "req-" + fleet.NewUUIDv4(random).String()
}
