package registry

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grapevine/api"
	"grapevine/internal/settings"
)

// saying is a handler that answers with its name and the path.
func saying(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, name+" "+r.URL.Path) })
}

// dialect is a front end at these prefixes, with one key.
func dialect(name string, prefixes ...string) api.FrontEnd {
	return api.FrontEnd{Name: name, Open: func(read func(any) error, _ api.Front) (map[string]http.Handler, error) {
		var s struct {
			Region string `toml:"region"`
		}
		out := map[string]http.Handler{}
		for _, prefix := range prefixes {
			out[prefix] = saying(name)
		}
		return out, read(&s)
	}}
}

func TestFrontEndsAreMountedByTheirTables(t *testing.T) {
	known := []api.FrontEnd{dialect("one", "/one", "/one/more"), dialect("two", "/two")}
	h, err := mount(saying("native"), map[string]settings.Table{"one": {"region": "north"}}, known, api.Front{})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/one": "one", "/one/": "one", "/one/more/x": "one", "/onerous": "native", "/two": "native", "/v1/hosts": "native", "/": "native",
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if got, _, _ := strings.Cut(w.Body.String(), " "); got != want {
			t.Errorf("%s is answered by %s, want %s", path, got, want)
		}
	}
}

func TestFrontEndsThatCannotBeMountedAreRefused(t *testing.T) {
	known := []api.FrontEnd{dialect("one", "/one"), dialect("again", "/one"), dialect("greedy", "/v1/hosts"), dialect("rootless", "x")}
	for _, test := range []struct {
		tables map[string]settings.Table
		want   string
	}{
		{map[string]settings.Table{"thre": {}}, "no such front end, only one, again, greedy, rootless"},
		{map[string]settings.Table{"one": {"regoin": "x"}}, "frontend.one: unknown key regoin"},
		{map[string]settings.Table{"one": {"region": 3}}, "frontend.one: region: "},
		{map[string]settings.Table{"one": {}, "again": {}}, "another front end has"},
		{map[string]settings.Table{"greedy": {}}, "not its to have"},
		{map[string]settings.Table{"rootless": {}}, "not its to have"},
	} {
		_, err := mount(saying("native"), test.tables, known, api.Front{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: %v, want %q", test.tables, err, test.want)
		}
	}
}
