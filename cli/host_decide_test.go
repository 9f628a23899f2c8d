package cli

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

func theRecord() fleet.Record {
	r := fleet.Record{
		Kind: fleet.Forget, Subject: id(0xdd), Name: "kvm-9", Covers: fleet.Version{Host: id(0xdd), Epoch: 3, Seq: 4},
		By: "operator alice", Why: "burnt", AcceptedAt: time.UnixMilli(1700000000000).UTC(), Acceptor: id(0xa1),
	}
	r.ID = fleet.NameRecord(&r)
	return r
}

// withRecords is a node that knows of a forgotten host.
func withRecords(t *testing.T) *node {
	t.Helper()
	n := fleetNode(t)
	n.answer("GET /v1/records", http.StatusOK, fleet.List[fleet.RecordRow]{
		Items:    []fleet.RecordRow{{Record: theRecord(), Standing: fleet.RecordStands, Holders: []fleet.HostID{id(0xa1), id(0xb2)}}},
		Coverage: fleet.Coverage{Heard: 2, Known: 3},
	})
	n.answer("POST /v1/hosts/{id}/forget", http.StatusOK, fleet.Decided{Record: theRecord(), Holders: []fleet.HostID{id(0xa1), id(0xb2)}})
	return n
}

func TestHostIsForgottenForAReasonAndAfterAQuestion(t *testing.T) {
	n := withRecords(t)
	run(t, n.URL, "host", "forget", "kvm-1").wants(t, 2, "", "--reason")
	run(t, n.URL, "host", "forget", "kvm-1", "--reason", "burnt").wants(t, 2, "", "there is no terminal to ask on; give --yes")
	if got := n.requests(http.MethodPost); len(got) != 0 {
		t.Fatalf("asked already: %v", got)
	}
	run(t, n.URL, "host", "forget", "kvm-1", "--reason", "burnt", "--yes").wants(t, 0, "forget of host kvm-1 is recorded, and held by 2 agents\n", "")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].URI != "/v1/hosts/"+id(0xa1).String()+"/forget" || !strings.Contains(got[0].Body, `"reason":"burnt"`) {
		t.Errorf("got %v", got)
	}
}

// What too few agents answered can be asked again, though the host is not listed
// any more.
func TestForgottenHostIsFoundByItsRecord(t *testing.T) {
	n := withRecords(t)
	run(t, n.URL, "host", "forget", "kvm-9", "--reason", "burnt", "--yes").wants(t, 0, "forget of host kvm-9 is recorded", "")
	if got := n.requests(http.MethodPost); len(got) != 1 || got[0].URI != "/v1/hosts/"+id(0xdd).String()+"/forget" {
		t.Errorf("got %v", got)
	}
	run(t, n.URL, "host", "forget", "nowhere", "--reason", "burnt", "--yes").wants(t, 1, "", `no host has the name or id "nowhere"`)
}

func TestRecordsAreListedWithWhoAndWhy(t *testing.T) {
	r := run(t, withRecords(t).URL, "record", "list")
	r.wants(t, 0, "", "2 of 3 hosts can be heard")
	for _, want := range []string{"forget", "kvm-9", "stands", "operator alice", "burnt"} {
		if !strings.Contains(r.out, want) {
			t.Errorf("no %q in\n%s", want, r.out)
		}
	}
}
