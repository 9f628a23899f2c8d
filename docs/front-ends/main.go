// Names is Grapevine with one more front end: an API of plain text at /names, in
// which a person sees the names of the instances of their project, and starts or
// stops one.
//
//	curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:7948/names
//	curl -H "Authorization: Bearer $TOKEN" -X POST 'http://127.0.0.1:7948/names?stop=web'
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"

	"grapevine/api"
	"grapevine/cli"
	"grapevine/fleet"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, api.FrontEnd{Name: "names", Open: open})
	stop()
	os.Exit(code)
}

// settings are the keys of [frontend.names] in registry.toml.
type settings struct {
	Prefix string `toml:"prefix"`
}

// names is the front end: the core is all that it has.
type names struct{ core api.Core }

func open(read func(any) error, front api.Front) (map[string]http.Handler, error) {
	s := settings{Prefix: "/names"}
	if err := read(&s); err != nil {
		return nil, err
	}
	n := &names{front.Core}
	return map[string]http.Handler{s.Prefix: api.Guard{Front: front, Refuse: refuse}.Before(http.HandlerFunc(n.serve))}, nil
}

// refuse writes errors as the dialect does. A front end says each code of the core in
// the words of its own clients; this one has three.
func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status := map[fleet.Code]int{fleet.CodeUnauthenticated: http.StatusUnauthorized, fleet.CodeForbidden: http.StatusForbidden, fleet.CodeNotFound: http.StatusNotFound}[fleet.CodeOf(err)]
	http.Error(w, err.Error(), max(status, http.StatusBadRequest))
}

func (n *names) serve(w http.ResponseWriter, r *http.Request) {
	if err := n.answer(w, r); err != nil {
		refuse(w, r, err)
	}
}

func (n *names) answer(w http.ResponseWriter, r *http.Request) error {
	who := api.Who(r.Context())
	switch {
	case who.Role == api.Nobody:
		return &fleet.Error{Code: fleet.CodeUnauthenticated, Detail: "show a token"}
	case r.Method == http.MethodPost && who.Role == api.AsReader:
		return &fleet.Error{Code: fleet.CodeForbidden, Detail: "readers change nothing"}
	}
	query := fleet.InstanceQuery{Name: r.URL.Query().Get("start") + r.URL.Query().Get("stop")}
	if err := who.Within(&query.Project); err != nil {
		return err
	}
	found, err := n.core.Instances(r.Context(), query)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		if len(found.Items) == 0 {
			return &fleet.Error{Code: fleet.CodeNotFound, Detail: "no instance has this name"}
		}
		action := fleet.Start
		if r.URL.Query().Has("stop") {
			action = fleet.Stop
		}
		_, err := n.core.ActInstance(r.Context(), found.Items[0].ID, action, api.ActOptions{})
		return err
	}
	for i := range found.Items {
		fmt.Fprintf(w, "%s %s\n", found.Items[i].Name, found.Items[i].Power)
	}
	return nil
}
