package api

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/internal/allocated"
)

// fuzzRoles are those that the fuzz test asks as, by number.
var fuzzRoles = []PrincipalRole{AsOperator, AsAdmin, AsRegistry, AsAgent, AsMember, AsReader, Nobody}

// believed are the bodies that a core was given, as the handlers understood them.
type believed struct {
	valid []func() error
}

func (b *believed) took(v interface{ Validate() error }) { b.valid = append(b.valid, v.Validate) }

// hearing is a full core that keeps what it is given.
func (b *believed) hearing() *fakeCore {
	core := full()
	accepted := func() (fleet.Accepted, error) { return acceptedNow, nil }
	core.create = func(c CreateInstance) (fleet.Accepted, error) {
		b.took(&c.Create)
		return accepted()
	}
	core.explain = func(c fleet.Create) (fleet.Explanation, error) { b.took(&c); return fleet.Explanation{}, nil }
	core.claim = func(p fleet.Proposal) (fleet.Accepted, error) { b.took(&p.Request); return accepted() }
	core.size = func(_ fleet.InstanceID, s fleet.Size) (fleet.Accepted, error) { b.took(&s); return accepted() }
	core.snapshot = func(_ fleet.InstanceID, c fleet.SnapshotChange) (fleet.Accepted, error) { b.took(c); return accepted() }
	core.device = func(_ fleet.InstanceID, c fleet.DeviceChange) (fleet.Accepted, error) { b.took(&c); return accepted() }
	core.capture = func(_ fleet.InstanceID, c fleet.CaptureInstance) (fleet.Accepted, error) {
		b.took(&c)
		return accepted()
	}
	core.log = func(_ fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
		b.took(part)
		return io.NopCloser(strings.NewReader("hello\n")), nil
	}
	return core
}

// Whatever a client sends, in whatever role, to whatever path: the answer is what
// was asked for or one problem document, never a fault of the node; it takes no
// more memory than the request is worth; and what a handler passes on is valid.
// Each request goes through the router that ships.
func FuzzRequest(f *testing.F) {
	for _, route := range slices.Sorted(maps.Keys(good)) {
		r := good[route].request
		f.Add(max(r.method, "GET"), r.target, headerText(r.header), r.body, byte(max(0, slices.Index(fuzzRoles, r.role))))
	}
	f.Add("POST", "/v1/instances?wait=30s", "Idempotency-Key: k1\nContent-Type: application/json", `{"count":3,"name":"a","flavor":"tiny","image":"tiny","labels":{"a":"b"},"networks":[{"network":"lan"}],"disks":[{"size_gib":1}]}`, byte(0))
	f.Add("GET", "/v1/instances?label=a%3Db&label=c%3D&limit=2&marker="+instanceText+"&project=shop&state=running", "Grapevine-At-Least: "+versionNow.String(), "", byte(4))
	f.Add("GET", "/v1/images/"+hashText+"/files/disk", "Range: bytes=2-5\nIf-Range: \"x\"", "", byte(3))
	f.Add("GET", "/v1/hosts", "Grapevine-On-Behalf-Of: role=operator&name=a", "", byte(2))
	heard := &believed{}
	core := heard.hearing()
	handler := NewHandler(core, testOptions(core))
	doWith(f, handler, good["GET /openapi.json"].request) // is written once, and kept
	f.Fuzz(func(t *testing.T, method, target, headers, body string, role byte) {
		req := fuzzRequest(method, target, headers, body)
		if req == nil {
			return
		}
		req.Header.Set(roleHeader, string(fuzzRoles[int(role)%len(fuzzRoles)]))
		heard.valid, core.decisions, core.keyChanges = nil, nil, nil
		core.part.Store(0)
		r := httptest.NewRecorder()
		size := uint64(len(method) + len(target) + len(headers) + len(body))
		if took := allocated.Bytes(func() { handler.ServeHTTP(r, req) }); took > 4<<20+200*size {
			t.Errorf("a request of %d bytes takes %d", size, took)
		}
		judge(t, r)
		for _, validate := range heard.valid {
			if err := validate(); err != nil {
				t.Errorf("what a handler passed on is not valid: %v", err)
			}
		}
	})
}

// fuzzRequest is what net/http would make of these parts on a connection; nil
// where it would answer by itself.
func fuzzRequest(method, target, headers, body string) *http.Request {
	if !strings.HasPrefix(target, "/") || strings.ContainsAny(target+method, " \r\n") {
		return nil
	}
	head := method + " " + target + " HTTP/1.1\r\nHost: node\r\n"
	for line := range strings.SplitSeq(headers, "\n") {
		if line != "" && !strings.HasPrefix(strings.ToLower(line), "upgrade") {
			head += strings.TrimSuffix(line, "\r") + "\r\n"
		}
	}
	req, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head + "\r\n")))
	if err != nil {
		return nil
	}
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	if body == "" {
		req.Body = http.NoBody
	}
	if req.Header.Get("Content-Type") == "" && body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	return req
}

func headerText(header map[string]string) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(header)) {
		lines = append(lines, name+": "+header[name])
	}
	return strings.Join(lines, "\n")
}

// judge says what every answer must be.
func judge(t *testing.T, r *httptest.ResponseRecorder) {
	t.Helper()
	body := r.Body.Bytes()
	if r.Code < http.StatusBadRequest {
		if strings.HasPrefix(r.Header().Get("Content-Type"), "application/json") && r.Code != http.StatusNoContent && len(body) > 0 && !json.Valid(body) {
			t.Errorf("answer %d is no JSON: %s", r.Code, body)
		}
		return
	}
	if r.Header().Get("Content-Type") != problemType {
		t.Fatalf("answer %d is of type %q: %.200s", r.Code, r.Header().Get("Content-Type"), body)
	}
	var p problem
	if err := json.Unmarshal(body, &p); err != nil {
		t.Fatalf("problem %.200s: %v", body, err)
	}
	_, known := kinds[p.Code]
	if !known || p.Status != r.Code || p.Code == fleet.CodeInternal || p.Detail == "" || len(p.Detail) > 2000 {
		t.Errorf("answer %d: %.3000s", r.Code, body)
	}
}

// What a header or a query says of parts, labels and waits is within bounds: a
// range lies in the file, labels are read the same again, and no reply is held
// for ever.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{
		"bytes=0-1023", "bytes=5-", "bytes=-7", "bytes=9223372036854775807-", "bytes=0-0,2-3", "bytes=-0", "bytes= 1-2",
		"label=a%3Db&label=c%3Dd&wait=30s", "label==&wait=-1h", "wait=2562047h48m",
	} {
		f.Add(text, int64(1024))
	}
	f.Fuzz(func(t *testing.T, text string, size int64) {
		if size >= 0 {
			judgeRange(t, text, size)
		}
		query, err := url.ParseQuery(text)
		if err != nil {
			return
		}
		if labels, err := parseLabels(query["label"]); err == nil {
			var again []string
			for k, v := range labels {
				again = append(again, k+"="+v)
			}
			if same, err := parseLabels(again); err != nil || !cmp.Equal(labels, same) {
				t.Errorf("%v is read again as %v, %v", labels, same, err)
			}
		}
		if d, err := parseWait(query.Get("wait")); err == nil && (d < 0 || d > MaxWait) {
			t.Errorf("a reply is held for %s", d)
		}
	})
}

func judgeRange(t *testing.T, header string, size int64) {
	t.Helper()
	part, partial, err := parseRange(header, size)
	switch {
	case err != nil:
	case part.offset < 0, part.length < 0, part.offset > size, part.length > size-part.offset, partial && part.length == 0:
		t.Errorf("%q of %d bytes is %+v", header, size, part)
	case !partial && part != byteRange{0, size}:
		t.Errorf("%q of %d bytes is the whole as %+v", header, size, part)
	}
}
