package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"grapevine/fleet"
)

func TestInstanceTableShowsStaleRowsAndTamesNames(t *testing.T) {
	r := run(t, fleetNode(t).URL, "instance", "list")
	r.wants(t, 0, "", "2 of 3 hosts can be heard")
	if strings.Contains(r.out, "\x1b") {
		t.Errorf("a name reached the terminal untamed: %q", r.out)
	}
	golden(t, "instance-list.golden", r.out)
}

func TestInstanceShow(t *testing.T) {
	r := run(t, fleetNode(t).URL, "instance", "show", "web")
	r.wants(t, 0, "", "")
	golden(t, "instance-show.golden", r.out)
}

func TestInstanceFiltersReachTheNode(t *testing.T) {
	n := fleetNode(t)
	run(t, n.URL, "instance", "list", "--host", "kvm-1", "--project", "p", "--state", "running", "--label", "a=b", "--limit", "5").wants(t, 0, "", "")
	want := "/v1/instances?host=kvm-1&label=a%3Db&limit=5&project=p&state=running"
	if got := n.requests(http.MethodGet); len(got) != 1 || got[0].URI != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

func TestYAMLHasTheAPIsFields(t *testing.T) {
	r := run(t, fleetNode(t).URL, "instance", "show", "web", "-o", "yaml")
	var got map[string]any
	if err := yaml.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatal(err)
	}
	if got["name"] != "web" || got["memory_mib"] != 2048 || got["version"] != theInstances().Items[0].Version.String() {
		t.Errorf("got %v", got)
	}
	if strings.ContainsAny(r.out, "{[") {
		t.Errorf("got JSON's brackets in YAML:\n%s", r.out)
	}
}

func TestShowTellsTheUsageWhereTheHostDoes(t *testing.T) {
	n := fleetNode(t)
	row := theInstances().Items[0]
	if r := run(t, n.URL, "instance", "show", "web"); strings.Contains(r.out, "cpu used") {
		t.Errorf("a usage without one told:\n%s", r.out)
	}
	n.answer("GET /v1/instances/{id}/usage", http.StatusOK, fleet.InstanceUsage{Instance: row.ID, Usage: fleet.Usage{
		CPUSeconds: new(12.34), MemoryBytes: new(int64(64 << 20)), DiskReadBytes: new(int64(2048)), DiskWrittenBytes: new(int64(0)),
	}})
	run(t, n.URL, "instance", "show", "web").wants(t, 0, "cpu used      12.3 s\nmemory used   64.0 MiB\ndisk used     2.00 KiB read, 0 B written\n", "")
	run(t, n.URL, "instance", "show", "web", "-o", "json").wants(t, 0, `"cpu_seconds": 12.34`, "")
}

func TestInstancePrefix(t *testing.T) {
	n := fleetNode(t)
	run(t, n.URL, "instance", "show", "1111").wants(t, 0, "name          web\n", "")
	r := run(t, n.URL, "instance", "show", "2222")
	r.wants(t, 1, "", `"2222" may mean any of 2 instances`)
	r.wants(t, 1, "", id(0x22223333).String()+`  db  of project "default" on esxi-1`)
	run(t, n.URL, "instance", "show", "111").wants(t, 1, "", `no instance has the name or id "111"`)
}

// accepting makes the node accept an action, ending in this row.
func accepting(n *node, pattern string, row fleet.Instance) {
	n.answer(pattern, http.StatusAccepted, fleet.Accepted{Instance: row, Operation: fleet.OperationID(row.Host, 4), Version: row.Version})
}

func TestActionsReachTheInstance(t *testing.T) {
	for _, c := range []struct {
		args []string
		uri  string
	}{
		{[]string{"start", "web"}, "/start"},
		{[]string{"stop", "web", "--force", "--wait", "5s"}, "/stop?force=true&wait=5s"},
		{[]string{"reboot", "web", "--wait", "1m"}, "/reboot?wait=1m0s"},
		{[]string{"pause", "web"}, "/pause"},
		{[]string{"resume", "web"}, "/resume"},
		{[]string{"adopt", "web"}, "/adopt"},
		{[]string{"disown", "web", "--wait", "5s"}, "/disown?wait=5s"},
	} {
		t.Run(c.args[0], func(t *testing.T) {
			n := fleetNode(t)
			accepting(n, "POST /v1/instances/{id}/{action}", theInstances().Items[0])
			run(t, n.URL, append([]string{"instance"}, c.args...)...).wants(t, 0, c.args[0]+" web ("+id(0x11111111).String()+") on kvm-1: ", "")
			got := n.requests(http.MethodPost)
			if len(got) != 1 || got[0].URI != "/v1/instances/"+id(0x11111111).String()+c.uri {
				t.Errorf("got %v, want %s", got, c.uri)
			}
		})
	}
}

func TestWaitTellsDoneFromFailedFromStillGoingOn(t *testing.T) {
	done := theInstances().Items[0]
	failed, going := done, done
	failed.Fault = "no space on the pool"
	going.Task = fleet.TaskStarting
	for _, c := range []struct {
		name     string
		row      fleet.Instance
		code     int
		out, err string
	}{
		{"done", done, 0, "on kvm-1: running\n", ""},
		{"failed", failed, 1, "", "grapevine: instance web on kvm-1: no space on the pool\n"},
		{"going on", going, 1, "on kvm-1: starting\n", "instance web is still starting after 5s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := fleetNode(t)
			accepting(n, "POST /v1/instances/{id}/start", c.row)
			run(t, n.URL, "instance", "start", "web", "--wait", "5s").wants(t, c.code, c.out, c.err)
		})
	}
}

func TestDeleteWaitsUntilItIsGone(t *testing.T) {
	n := fleetNode(t)
	row := theInstances().Items[0]
	n.answer("DELETE /v1/instances/{id}", http.StatusAccepted, fleet.Accepted{Instance: row, Gone: true})
	run(t, n.URL, "instance", "delete", "web", "--wait", "5s").wants(t, 0, "delete web ("+row.ID.String()+") on kvm-1: gone\n", "")
}

func TestCreateSendsTheWishAndARandomKey(t *testing.T) {
	n := fleetNode(t)
	accepting(n, "POST /v1/instances", theInstances().Items[0])
	args := []string{"instance", "create", "--name", "web", "--flavor", "small", "--image", "tiny", "--hypervisor", "kvm", "--zone", "north", "--host", "kvm-1", "--project", "p", "--label", "a=b", "--wait", "30s"}
	for range 2 {
		run(t, n.URL, args...).wants(t, 0, "create web (", "")
	}
	got := n.requests(http.MethodPost)
	if len(got) != 2 || got[0].Key == "" || got[0].Key == got[1].Key || got[0].URI != "/v1/instances?wait=30s" {
		t.Fatalf("got %v, want two creates under two keys", got)
	}
	var body fleet.Create
	if err := json.Unmarshal([]byte(got[0].Body), &body); err != nil {
		t.Fatal(err)
	}
	want := fleet.Create{Name: "web", Project: "p", Flavor: "small", Image: "tiny", Hypervisor: fleet.KVM, Zone: "north", Host: "kvm-1", Labels: map[string]string{"a": "b"}}
	if diff := cmp.Diff(want, body); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestCreateAsksAgainUnderOneKeyWhenTheAnswerIsLost(t *testing.T) {
	n := fleetNode(t)
	calls := 0
	n.mux.HandleFunc("POST /v1/instances", func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			panic(http.ErrAbortHandler) // the connection breaks without an answer
		}
		reply(w, http.StatusAccepted, fleet.Accepted{Instance: theInstances().Items[0]})
	})
	run(t, n.URL, "instance", "create", "--name", "web", "--flavor", "small", "--image", "tiny").wants(t, 0, "create web", "")
	keys := map[string]bool{}
	for _, r := range n.requests(http.MethodPost) {
		keys[r.Key] = true
	}
	if len(keys) != 1 {
		t.Errorf("got keys %v, want one", keys)
	}
}

func TestOutcomeUnknownSaysHowToRetry(t *testing.T) {
	n := fleetNode(t)
	n.answer("POST /v1/instances", http.StatusGatewayTimeout, map[string]any{"code": "outcome_unknown", "detail": "host kvm-1 did not answer in time", "instance": id(9)})
	run(t, n.URL, "instance", "create", "--name", "web", "--flavor", "small", "--image", "tiny", "--key", "k1").
		wants(t, 1, "", "grapevine: host kvm-1 did not answer in time; send the same command again with --key k1, and there will be one machine\n")
}

func TestRefusalHasALineForEachHost(t *testing.T) {
	n := fleetNode(t)
	verdicts := []fleet.Verdict{
		{Host: id(1), HostName: "kvm-1", Refusals: []fleet.Refusal{{Code: fleet.RefuseCapacity, Detail: "8 vCPUs asked, 2 free"}, {Code: fleet.RefuseImage, Detail: "it does not hold image abc"}}},
		{Host: id(2), HostName: "xen-1", Refusals: []fleet.Refusal{{Code: fleet.RefuseCordoned, Detail: "it is cordoned"}}},
	}
	n.answer("POST /v1/instances", http.StatusConflict, map[string]any{"code": "refused", "detail": "no host takes it", "verdicts": verdicts})
	r := run(t, n.URL, "instance", "create", "--name", "web", "--flavor", "large", "--image", "tiny")
	want := "grapevine: no host takes it\n  kvm-1: 8 vCPUs asked, 2 free; it does not hold image abc\n  xen-1: it is cordoned\n"
	if r.code != 1 || r.err != want {
		t.Errorf("got %d, %q; want 1, %q", r.code, r.err, want)
	}
}

func TestBadWishesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	n := fleetNode(t)
	base := []string{"instance", "create", "--flavor", "small", "--image", "tiny"}
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no name", nil, 2, "--name is missing"},
		{"control character", []string{"--name", "a\nb"}, 1, "has a control character"},
		{"hypervisor", []string{"--name", "a", "--hypervisor", "vax"}, 1, `hypervisor "vax" is not one of kvm, xen, esxi`},
		{"count", []string{"--name", "a", "--count", "0"}, 2, "--count is 0; it must be 1 to 1000"},
		{"label", []string{"--name", "a", "--label", "x"}, 2, `--label "x" is not of the form key=value`},
		{"wait", []string{"--name", "a", "--wait", "soon"}, 2, "invalid"},
		{"unknown flag", []string{"--nam", "a"}, 2, "unknown flag: --nam"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := run(t, n.URL, append(base, c.args...)...)
			r.wants(t, c.code, "", c.want)
			if strings.Count(r.err, "\n") != 1 {
				t.Errorf("got %q, want one line", r.err)
			}
		})
	}
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Errorf("sent %v", got)
	}
}

func TestFollowedLogIsPrintedAsItComes(t *testing.T) {
	n := fleetNode(t)
	n.mux.HandleFunc("GET /v1/instances/{id}/log", func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		fmt.Fprintf(w, "follow %s, tail %s\n", query.Get("follow"), query.Get("tail"))
		w.(http.Flusher).Flush()
		if query.Get("tail") == "9" {
			panic(http.ErrAbortHandler)
		}
		fmt.Fprint(w, "and then\n")
	})
	run(t, n.URL, "instance", "log", "web", "-f").wants(t, 0, "follow true, tail \nand then\n", "")
	run(t, n.URL, "instance", "log", "web", "-f", "--tail", "9").wants(t, 1, "follow true, tail 9\n", "grapevine: read console log:")
}

func TestLogBeginsAtTheOffset(t *testing.T) {
	n := fleetNode(t)
	n.mux.HandleFunc("GET /v1/instances/{id}/log", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "from %s\n", r.URL.Query().Get("offset"))
	})
	run(t, n.URL, "instance", "log", "web", "--offset", "7").wants(t, 0, "from 7\n", "")
	run(t, n.URL, "instance", "log", "web", "--offset", "-7").wants(t, 2, "", "--offset is -7; it must not be negative")
	run(t, n.URL, "instance", "log", "web", "--tail", "-7").wants(t, 2, "", "--tail is -7; it must not be negative")
	run(t, n.URL, "instance", "log", "web", "--tail", "7", "--offset", "1").wants(t, 2, "", "give one of them")
}
