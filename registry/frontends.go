package registry

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"grapevine/api"
	"grapevine/internal/settings"
)

// mounted serves front ends beside the native API, each request by the prefix of
// its path.
type mounted struct {
	native   http.Handler
	prefixes []string // the longest first
	handlers map[string]http.Handler
}

// mount opens the front ends that the configuration has a table of.
func mount(native http.Handler, tables map[string]settings.Table, known []api.FrontEnd, front api.Front) (http.Handler, error) {
	if len(tables) == 0 {
		return native, nil
	}
	m := &mounted{native: native, handlers: map[string]http.Handler{}}
	for _, name := range slices.Sorted(maps.Keys(tables)) {
		i := slices.IndexFunc(known, func(f api.FrontEnd) bool { return f.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("frontend.%s: this build has no such front end, only %s; remove the table or correct its name", name, namesOf(known))
		}
		handlers, err := known[i].Open(tables[name].Decode, front)
		if err != nil {
			return nil, fmt.Errorf("frontend.%s: %w", name, err)
		}
		if err := m.add(name, handlers); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(m.prefixes, func(a, b string) int { return len(b) - len(a) })
	return m, nil
}

func (m *mounted) add(name string, handlers map[string]http.Handler) error {
	for prefix, handler := range handlers {
		switch {
		case !strings.HasPrefix(prefix, "/"), strings.HasSuffix(prefix, "/"), prefix == "/v1", strings.HasPrefix(prefix, "/v1/"):
			return fmt.Errorf("frontend.%s wants the paths below %q, which are not its to have", name, prefix)
		case m.handlers[prefix] != nil:
			return fmt.Errorf("frontend.%s wants the paths below %s, which another front end has; leave one of them out", name, prefix)
		}
		m.handlers[prefix] = handler
		m.prefixes = append(m.prefixes, prefix)
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (m *mounted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, prefix := range m.prefixes {
		if rest, ok := strings.CutPrefix(r.URL.Path, prefix); ok && (rest == "" || rest[0] == '/') {
			m.handlers[prefix].ServeHTTP(w, r)
			return
		}
	}
	m.native.ServeHTTP(w, r)
}

func namesOf(known []api.FrontEnd) string {
	if len(known) == 0 {
		return "the native API"
	}
	names := make([]string, len(known))
	for i := range known {
		names[i] = known[i].Name
	}
	return strings.Join(names, ", ")
}
