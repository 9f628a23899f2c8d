package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"grapevine/fleet"
)

func TestEveryMeshCommandHasAnExample(t *testing.T) {
	a := &app{format: asTable}
	var look func(*cobra.Command)
	look = func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() && !strings.Contains(cmd.Example, cmd.CommandPath()) {
			t.Errorf("%s has no example of itself: %q", cmd.CommandPath(), cmd.Example)
		}
		for _, child := range cmd.Commands() {
			look(child)
		}
	}
	for _, cmd := range a.root().Commands() {
		if cmd.Name() == "mesh" {
			look(cmd)
		}
	}
}

func at(host, epoch, seq int) fleet.Version {
	return fleet.Version{Host: id(host), Epoch: uint64(epoch), Seq: uint64(seq)}
}

// theTrace is of an instance on kvm-1: xen-1 learnt from it, esxi-1 from xen-1,
// reg-1 from a silent one; kvm-2 is behind.
func theTrace() fleet.Trace {
	node := func(n int, name string, from int, ageMS int64) fleet.TracedNode {
		wall := today.Add(-time.Duration(ageMS) * time.Millisecond)
		out := fleet.TracedNode{Node: id(n), Name: name, Role: fleet.RoleAgent, Version: at(0xa1, 3, 99), From: id(from), FromName: fmt.Sprintf("n%x", from), At: &wall, AgeMS: ageMS}
		if from == 0 {
			out.From, out.FromName, out.Origin = fleet.UUID{}, "", true
		}
		return out
	}
	behind := node(0xa2, "kvm-2", 0xb2, 61_000)
	behind.Version, behind.FromName = at(0xa1, 3, 98), "xen-1"
	registry := node(0xd4, "reg-1", 0xe5, 3_120)
	registry.Role = fleet.RoleRegistry
	return fleet.Trace{
		Instance: id(0x11111111), InstanceName: "web", InstanceVersion: at(0xa1, 3, 97), Host: id(0xa1), HostName: "kvm-1", Version: at(0xa1, 3, 99), Asked: 6, Answered: 5,
		Nodes: []fleet.TracedNode{
			node(0xc3, "esxi-1", 0xb2, 3_190), node(0xa1, "kvm-1", 0, 3_204), behind,
			{Node: id(0xe5), Name: "lost", Role: fleet.RoleAgent, Error: "cannot reach https://192.0.2.5:7947: nothing listens there"},
			registry, node(0xb2, "xen-1", 0xa1, 3_201),
		},
	}
}

func TestTraceIsDrawnAsATree(t *testing.T) {
	n := fleetNode(t)
	n.answer("GET /v1/mesh/trace", http.StatusOK, theTrace())
	r := run(t, n.URL, "mesh", "trace", "web")
	r.wants(t, 0, "", "")
	golden(t, "mesh-trace.golden", r.out)
	run(t, n.URL, "mesh", "trace", "--host", "kvm-1").wants(t, 0, "kvm-1", "")
	asked := n.requests(http.MethodGet)
	var uris []string
	for _, a := range asked {
		if strings.HasPrefix(a.URI, "/v1/mesh/trace") {
			uris = append(uris, a.URI)
		}
	}
	want := []string{"/v1/mesh/trace?instance=" + id(0x11111111).String(), "/v1/mesh/trace?host=" + id(0xa1).String()}
	if diff := cmp.Diff(want, uris); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	run(t, n.URL, "mesh", "trace").wants(t, 2, "", "INSTANCE is missing")
}

// A node may say that it learnt from one that learnt from it: of another
// version, or because it lies.
func TestTraceOfNodesThatPointAtEachOtherEnds(t *testing.T) {
	trace := theTrace()
	for i := range trace.Nodes {
		trace.Nodes[i].Origin = false
	}
	trace.Nodes[1].From = id(0xc3)
	n := fleetNode(t)
	n.answer("GET /v1/mesh/trace", http.StatusOK, trace)
	r := run(t, n.URL, "mesh", "trace", "web")
	for _, name := range []string{"kvm-1", "kvm-2", "xen-1", "esxi-1", "reg-1", "lost"} {
		if !strings.Contains(r.out, name) {
			t.Errorf("%s is not shown:\n%s", name, r.out)
		}
	}
}

func TestDiffNamesBothNodesAndWhoIsNewer(t *testing.T) {
	n := newNode(t)
	three := 3
	diff := fleet.DigestDiff{
		A: fleet.NodeDigest{Node: id(0xa1), Name: "kvm-1", Root: "0123456789abcdef", Hosts: 3}, B: fleet.NodeDigest{Node: id(0xb2), Name: "xen-1", Root: "fedcba9876543210", Hosts: 2},
		Hosts: []fleet.HostDiff{
			{Host: id(0xa1), HostName: "kvm-1", A: at(0xa1, 3, 99), B: at(0xa1, 3, 97), Newer: "a", RowsA: 12, RowsB: 11, RowsDiffer: &three},
			{Host: id(0xc3), HostName: "esxi-1", A: at(0xc3, 1, 4), Newer: "a", RowsA: 7},
		},
	}
	n.answer("GET /v1/mesh/diff", http.StatusOK, diff)
	r := run(t, n.URL, "mesh", "diff", "kvm-1", "xen-1")
	r.wants(t, 0, "", "")
	golden(t, "mesh-diff.golden", r.out)
	run(t, n.URL, "mesh", "diff", "xen-1").wants(t, 0, "", "")
	var uris []string
	for _, a := range n.requests(http.MethodGet) {
		uris = append(uris, a.URI)
	}
	if diff := cmp.Diff([]string{"/v1/mesh/diff?a=kvm-1&b=xen-1", "/v1/mesh/diff?b=xen-1"}, uris); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	run(t, n.URL, "mesh", "diff").wants(t, 2, "", "B is missing")
	run(t, n.URL, "mesh", "diff", "a", "b", "c").wants(t, 2, "", "unexpected argument")
}

func TestDiffReadsURLsItself(t *testing.T) {
	one, other := newNode(t), newNode(t)
	row := fleet.DigestRow{Host: id(0xa1), HostName: "kvm-1", Version: at(0xa1, 3, 99), Incarnation: "00", Rows: 2, Hash: "aa"}
	one.answer("GET /v1/mesh/digest", http.StatusOK, fleet.Digest{Root: "aaaa", Rows: []fleet.DigestRow{row}})
	other.answer("GET /v1/mesh/digest", http.StatusOK, fleet.Digest{Root: "aaaa", Rows: []fleet.DigestRow{row}})
	run(t, one.URL, "mesh", "diff", other.URL).wants(t, 0, "hold the same fleet: root aaaa over 1 host", "")
	newer := row
	newer.Version.Seq, newer.Hash = 100, "bb"
	third := newNode(t)
	third.answer("GET /v1/mesh/digest", http.StatusOK, fleet.Digest{Root: "bbbb", Rows: []fleet.DigestRow{newer}})
	var got fleet.DigestDiff
	r := run(t, one.URL, "mesh", "diff", other.URL, third.URL, "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || got.Equal || len(got.Hosts) != 1 || got.Hosts[0].Newer != "b" || got.B.Name != third.URL {
		t.Errorf("got %s %+v, %v; want one host, newer at the third", r.out, got, err)
	}
}

func TestRoundTripsSayHowTheyAreKnown(t *testing.T) {
	n := newNode(t)
	n.answer("GET /v1/mesh/rtt", http.StatusOK, fleet.RoundTrip{FromName: "kvm-1", ToName: "xen-1", RTTMS: 0.4217})
	n.answer("GET /v1/mesh/ping", http.StatusOK, fleet.RoundTrip{FromName: "kvm-1", ToName: "xen-1", RTTMS: 0.4, Measured: true})
	run(t, n.URL, "mesh", "rtt", "kvm-1", "xen-1").wants(t, 0, "kvm-1 to xen-1 and back: 0.422 ms, estimated\n", "")
	run(t, n.URL, "mesh", "ping", "xen-1").wants(t, 0, "kvm-1 to xen-1 and back: 0.400 ms, measured\n", "")
	if got := n.requests(http.MethodGet)[1].URI; got != "/v1/mesh/ping?to=xen-1" {
		t.Errorf("asked %s", got)
	}
}

// streaming is a node whose watch sends these events.
func streaming(t *testing.T, events string) *node {
	t.Helper()
	n := newNode(t)
	n.mux.HandleFunc("GET /v1/mesh/watch", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, events)
	})
	return n
}

func change(t *testing.T, c fleet.HostChange) string {
	t.Helper()
	data, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return "event: change\ndata: " + string(data) + "\n\n"
}

const watchEnd = "event: end\ndata: {\"code\":\"not_ready\",\"detail\":\"shutting down\"}\n\n"

func TestWatchPrintsALineForEachChange(t *testing.T) {
	events := ": watching\n\n" +
		change(t, fleet.HostChange{Host: id(0xa1), HostName: "kvm-1", Before: at(0xa1, 3, 98), Version: at(0xa1, 3, 99), Added: 1, Deleted: 1, Rows: []fleet.RowChange{
			{Kind: "instance", ID: id(5).String(), Name: "web"}, {Kind: "instance", ID: id(6).String(), Deleted: true},
		}}) +
		change(t, fleet.HostChange{Host: id(0xb2), HostName: "xen-1", Version: at(0xb2, 1, 1), Added: 4}) +
		"event: later\ndata: {}\n\n: nothing new\n\n" +
		change(t, fleet.HostChange{Host: id(0xb2), HostName: "xen-1", Before: at(0xb2, 1, 1), Version: at(0xb2, 2, 1), Whole: true, Changed: 5}) +
		change(t, fleet.HostChange{Host: id(0xb2), HostName: "xen-1", Before: at(0xb2, 2, 1), Version: at(0xb2, 3, 1), Whole: true}) +
		change(t, fleet.HostChange{Host: id(0xa1), HostName: "kvm-1", Before: at(0xa1, 3, 99), Version: at(0xa1, 3, 400), Missed: 300, Changed: 40, Rows: []fleet.RowChange{{Kind: "host", ID: id(0xa1).String(), Name: "kvm-1"}}}) +
		watchEnd
	n := streaming(t, events)
	r := run(t, n.URL, "mesh", "watch", "--host", "kvm-1")
	r.wants(t, 1, "", "grapevine: shutting down")
	golden(t, "mesh-watch.golden", r.out)
	if got := n.requests(http.MethodGet)[0].URI; got != "/v1/mesh/watch?host=kvm-1" {
		t.Errorf("asked %s", got)
	}
}

func TestWatchForProgramsIsOneDocumentALine(t *testing.T) {
	want := fleet.HostChange{Host: id(0xa1), HostName: "kvm-1", Version: at(0xa1, 3, 99), Rows: []fleet.RowChange{}}
	n := streaming(t, change(t, want)+change(t, want)+watchEnd)
	r := run(t, n.URL, "mesh", "watch", "-o", "json")
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d lines, want 2: %s", len(lines), r.out)
	}
	var got fleet.HostChange
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	run(t, n.URL, "mesh", "watch", "-o", "yaml").wants(t, 1, "---\nhost: ", "")
}

func TestInterruptEndsAWatchInPeace(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := newNode(t)
	n.mux.HandleFunc("GET /v1/mesh/watch", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, ": watching\n\n")
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
	})
	var out, errOut bytes.Buffer
	if code := Main(ctx, []string{"mesh", "watch", "--addr", n.URL}, strings.NewReader(""), &out, &errOut); code != 0 {
		t.Errorf("got exit code %d, %s; want 0", code, errOut.String())
	}
}

func TestKeysAreShownByFingerprintAndReadFromFilesAlone(t *testing.T) {
	key := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
	n := newNode(t)
	report := fleet.GossipKeyReport{
		Keys:    []fleet.GossipKey{{Fingerprint: "3f9a01c2b4d5", Members: 3, Primary: 3}, {Fingerprint: "91be77a0c3d2", Members: 2}},
		Members: 3, Answered: 3, Errors: []fleet.MemberError{},
	}
	n.answer("GET /v1/mesh/keys", http.StatusOK, report)
	r := run(t, n.URL, "mesh", "keys", "list")
	r.wants(t, 0, "", "")
	golden(t, "mesh-keys.golden", r.out)

	report.Changed = "91be77a0c3d2"
	n.answer("POST /v1/mesh/keys", http.StatusOK, report)
	file := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh := filepath.Join(t.TempDir(), "new.key")
	for _, args := range [][]string{{"install", file}, {"install", "--generate", fresh}, {"use", "91BE77A0C3D2", "--force"}, {"remove", "3f9a01c2b4d5"}} {
		r := run(t, n.URL, append([]string{"mesh", "keys"}, args...)...)
		r.wants(t, 0, "done to key 91be77a0c3d2", "")
		if strings.Contains(r.out+r.err, key) {
			t.Errorf("%v prints the key", args)
		}
	}
	generated, err := os.ReadFile(fresh)
	if err != nil {
		t.Fatal(err)
	}
	var got []fleet.GossipKeyChange
	for _, a := range n.requests(http.MethodPost) {
		var c fleet.GossipKeyChange
		if err := json.Unmarshal([]byte(a.Body), &c); err != nil {
			t.Fatal(err)
		}
		got = append(got, c)
	}
	want := []fleet.GossipKeyChange{
		{Action: fleet.GossipKeyInstall, Key: key},
		{Action: fleet.GossipKeyInstall, Key: strings.TrimSpace(string(generated))},
		{Action: fleet.GossipKeyUse, Key: "91be77a0c3d2", Force: true},
		{Action: fleet.GossipKeyRemove, Key: "3f9a01c2b4d5"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("asked (-want +got)\n%s", diff)
	}
	for _, c := range []struct {
		args []string
		code int
		err  string
	}{
		{[]string{"use", key}, 2, "FINGERPRINT is not 12 hexadecimal digits"},
		{[]string{"install", "--generate", fresh}, 1, ""}, // it is there already
		{[]string{"install", filepath.Join(t.TempDir(), "none")}, 1, "open key file"},
		{[]string{"install", "-"}, 1, "- does not hold a key"},
	} {
		r := run(t, n.URL, append([]string{"mesh", "keys"}, c.args...)...)
		r.wants(t, c.code, "", c.err)
		if strings.Contains(r.out+r.err, key) {
			t.Errorf("%v prints the key", c.args)
		}
	}
}

func TestKeysThatSomeMembersDidNotTakeFailTheCommand(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/mesh/keys", http.StatusOK, fleet.GossipKeyReport{
		Members: 3, Answered: 2, Errors: []fleet.MemberError{{ID: id(0xb2), Name: "xen-1", Error: "it did not answer; ask again"}},
	})
	run(t, n.URL, "mesh", "keys", "remove", "3f9a01c2b4d5").wants(t, 1, "2 of 3 members answered", "member xen-1: it did not answer; ask again")
}

func TestLeaveAsksAPersonOrWantsYes(t *testing.T) {
	n := newNode(t)
	n.answer("POST /v1/mesh/leave", http.StatusAccepted, fleet.Member{ID: id(0xa1), Name: "kvm-1", Role: fleet.RoleAgent, Status: fleet.MemberLeft})
	run(t, n.URL, "mesh", "leave").wants(t, 2, "", "there is no terminal to ask on; give --yes")
	for _, c := range []struct {
		typed string
		code  int
		posts int
	}{{"n\n", 1, 0}, {"\n", 1, 0}, {"", 1, 0}, {"y\n", 0, 1}, {"YES\n", 0, 2}} {
		var out, errOut bytes.Buffer
		a := &app{
			in: strings.NewReader(c.typed), out: &out, errOut: &errOut, now: func() time.Time { return today }, asking: true,
			lookup: func(string) (string, bool) { return "", false }, format: asTable,
		}
		code := a.main(t.Context(), []string{"mesh", "leave", "--addr", n.URL})
		if posts := len(n.requests(http.MethodPost)); code != c.code || posts != c.posts || !strings.Contains(errOut.String(), "The node at "+n.URL+" leaves") {
			t.Errorf("typed %q: got exit code %d and %d requests, want %d and %d: %s", c.typed, code, posts, c.code, c.posts, errOut.String())
		}
	}
	run(t, n.URL, "mesh", "leave", "--yes").wants(t, 0, "agent kvm-1 has left the mesh, and ends", "")
}

func TestMeshCommandsComplete(t *testing.T) {
	n := fleetNode(t)
	n.answer("GET /v1/mesh/members", http.StatusOK, fleet.List[fleet.Member]{Items: []fleet.Member{{ID: id(0xd4), Name: "reg-1"}}})
	n.answer("GET /v1/mesh/keys", http.StatusOK, fleet.GossipKeyReport{Keys: []fleet.GossipKey{{Fingerprint: "3f9a01c2b4d5"}}})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"mesh", "ping", ""}, "reg-1"},
		{[]string{"mesh", "rtt", ""}, "reg-1"},
		{[]string{"mesh", "diff", "x", ""}, "reg-1"},
		{[]string{"mesh", "trace", ""}, "web"},
		{[]string{"mesh", "watch", "--host", ""}, "xen-1"},
		{[]string{"mesh", "keys", "use", ""}, "3f9a01c2b4d5"},
		{[]string{"mesh", ""}, "leave"},
	} {
		r := run(t, n.URL, append([]string{"__complete"}, c.args...)...)
		r.wants(t, 0, c.want, "")
	}
}
