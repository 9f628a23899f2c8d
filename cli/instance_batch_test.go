package cli

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// someMade is a batch of three of which the last was refused.
func someMade() fleet.Batch {
	web := theInstances().Items[0]
	second := web
	second.ID, second.Name, second.HostName = id(0x44444444), "web-2", "xen-1"
	web.Name = "web-1"
	return fleet.Batch{Accepted: 2, Failed: 1, Items: []fleet.BatchItem{
		{Name: "web-1", Accepted: &fleet.Accepted{Instance: web}},
		{Name: "web-2", Accepted: &fleet.Accepted{Instance: second}},
		{Name: "web-3", Problem: &fleet.ItemProblem{Status: 409, Code: fleet.CodeRefused, Detail: "no host takes\nweb-3"}},
	}}
}

var batchOfThree = []string{"instance", "create", "--name", "web", "--flavor", "small", "--image", "tiny", "--key", "k", "--count", "3"}

func TestBatchIsOneRequestAndALineForEach(t *testing.T) {
	n := fleetNode(t)
	n.answer("POST /v1/instances", http.StatusMultiStatus, someMade())
	r := run(t, n.URL, batchOfThree...)
	want := "NAME   ID                                    HOST   RESULT\n" +
		"web-1  " + id(0x11111111).String() + "  kvm-1  accepted\n" +
		"web-2  " + id(0x44444444).String() + "  xen-1  accepted\n" +
		"web-3                                               refused: no host takes; web-3\n"
	if diff := cmp.Diff(want, r.out); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	r.wants(t, 1, "", "1 of 3 creates failed; the same command with --key k does only what is missing\n")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].Key != "k" || got[0].Body != `{"name":"web","flavor":"small","image":"tiny","count":3}` {
		t.Errorf("got %v, want one request for all three", got)
	}
}

func TestBatchInJSONIsTheAPIs(t *testing.T) {
	n := fleetNode(t)
	n.answer("POST /v1/instances", http.StatusMultiStatus, someMade())
	r := run(t, n.URL, append(batchOfThree, "-o", "json")...)
	var got fleet.Batch
	if err := json.Unmarshal([]byte(r.out), &got); err != nil || r.code != 1 {
		t.Fatalf("exit code %d, %v", r.code, err)
	}
	if diff := cmp.Diff(someMade(), got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestBatchOfWhichNoneWasMadeSaysSoOfEach(t *testing.T) {
	n := fleetNode(t)
	none := someMade()
	none.Items = []fleet.BatchItem{none.Items[2], none.Items[2]}
	n.answer("POST /v1/instances", http.StatusConflict, map[string]any{"code": "refused", "detail": "none of 2 instances was made", "batch": none})
	r := run(t, n.URL, batchOfThree...)
	if r.code != 1 || strings.Count(r.out, "refused: no host takes; web-3\n") != 2 {
		t.Errorf("got %d, %q; want 1 and a line for each", r.code, r.out)
	}
	n = fleetNode(t)
	n.answer("POST /v1/instances", http.StatusUnprocessableEntity, map[string]any{"code": "unknown_flavor", "detail": "no such flavor"})
	run(t, n.URL, batchOfThree...).wants(t, 1, "", "grapevine: no such flavor\n")
}

func TestBatchThatWaitedCountsWhatFailedSince(t *testing.T) {
	n := fleetNode(t)
	failed := someMade()
	failed.Items = failed.Items[:2]
	failed.Items[0].Accepted.Instance.Fault = "no space on the pool"
	failed.Items[1].Accepted.Instance.Task = fleet.TaskBuilding
	n.answer("POST /v1/instances", http.StatusAccepted, failed)
	r := run(t, n.URL, append(batchOfThree, "--wait", "5s")...)
	r.wants(t, 1, "kvm-1  no space on the pool\n", "2 of 3 creates failed")
	r.wants(t, 1, "xen-1  still building after 5s\n", "")
}
