package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"grapevine/fleet"
)

// getAtLeast asks with these Grapevine-At-Least headers.
func getAtLeast(core *fakeCore, path string, versions ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set(roleHeader, string(AsOperator))
	for _, v := range versions {
		r.Header.Add(atLeastHeader, v)
	}
	w := httptest.NewRecorder()
	NewHandler(core, testOptions(core)).ServeHTTP(w, r)
	return w
}

// datedPaths are the reads of the fleet.
var datedPaths = []string{
	"/v1/hosts", "/v1/hosts/" + hostText, "/v1/hosts/" + hostText + "/hardware", "/v1/hosts/" + hostText + "/drain", "/v1/hosts/" + hostText + "/verify", "/v1/verify", "/v1/instances", "/v1/instances/" + instanceText,
	"/v1/instances/" + instanceText + "/log", "/v1/instances/" + instanceText + "/snapshots", "/v1/instances/" + instanceText + "/devices",
	"/v1/instances/" + instanceText + "/usage", "/v1/instances/" + instanceText + "/export", "/v1/images", "/v1/images/" + hashText, "/v1/flavors", "/v1/operations/" + hostText + ".4", "/v1/records",
	"/v1/groups", "/v1/groups/a%20web%3F?project=shop", "/v1/keypairs", "/v1/keypairs/alice",
}

func TestEveryReadOfTheFleetHeedsAtLeast(t *testing.T) {
	for _, path := range datedPaths {
		var asked fleet.Version
		core, owner := &fakeCore{}, full() // the node itself answers nothing
		core.atLeast = func(at fleet.Version) (Reads, error) { asked = at; return owner, nil }
		if w := getAtLeast(core, path, versionNow.String()); w.Code != http.StatusOK || asked != versionNow {
			t.Errorf("%s: got %d, asked for %v: %s", path, w.Code, asked, w.Body)
		}
	}
}

func TestUnreadableVersionIsABadRequest(t *testing.T) {
	for _, given := range [][]string{{""}, {"7"}, {hostText + ":1"}, {hostText + ":-1:2"}, {versionNow.String(), versionNow.String()}} {
		if w := getAtLeast(full(), "/v1/hosts", given...); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), atLeastHeader) {
			t.Errorf("%q: got %d %s", given, w.Code, w.Body)
		}
	}
}

func TestAnswerThatWouldBeTooOldIsRefusedForNow(t *testing.T) {
	core := full()
	core.atLeast = func(at fleet.Version) (Reads, error) { return nil, core.Behind(at, &fleet.Error{Detail: "lost"}) }
	w := getAtLeast(core, "/v1/instances", versionNow.String())
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"code":"not_current"`) {
		t.Errorf("got %d, Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

func TestFreshSaysWhoIsToLook(t *testing.T) {
	for _, path := range []string{"/v1/hosts/" + hostText, "/v1/instances/" + instanceText} {
		for query, want := range map[string]string{"?fresh=required": `"name":"fresh"`, "?fresh=own": `"name":"own"`, "": `"name":""`} {
			if w := getAtLeast(full(), path+query); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s%s: got %d %s, want %s", path, query, w.Code, w.Body, want)
			}
		}
		if w := getAtLeast(full(), path+"?fresh=maybe"); w.Code != http.StatusUnprocessableEntity {
			t.Errorf("fresh=maybe: got %d %s", w.Code, w.Body)
		}
	}
}

func TestDocumentTellsOfFreshReads(t *testing.T) {
	doc := getAtLeast(full(), "/openapi.json").Body.String()
	if got, want := strings.Count(doc, `"name":"`+atLeastHeader+`"`), len(datedPaths)+1; got != want { // and the file of an export
		t.Errorf("the document has %s at %d routes, want %d", atLeastHeader, got, want)
	}
	if !strings.Contains(doc, `"name":"fresh"`) {
		t.Error("the document does not have the parameter fresh")
	}
}
