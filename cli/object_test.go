package cli

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

const aPublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMVYfm3/siSfjDExUYPIq8DtmMGBtCn5istjaR50Xpqh alice@laptop"

func theGroups() fleet.List[fleet.Group] {
	web := fleet.Group{ID: id(0x61), Name: "web", Project: "default", Policy: fleet.AntiAffinity, CreatedAt: today.Add(-time.Hour), By: "operator alice", Instances: 2}
	db := fleet.Group{ID: id(0x62), Name: "db\x1b[2J", Project: "shop", Policy: fleet.SoftAffinity, CreatedAt: today.Add(-time.Minute), By: "operator bob"}
	return fleet.List[fleet.Group]{Items: []fleet.Group{web, db}, Coverage: fleet.Coverage{Heard: 3, Known: 3}}
}

// objectNode is a node with groups and a key pair.
func objectNode(t *testing.T) *node {
	t.Helper()
	n := fleetNode(t)
	groups := theGroups()
	web := groups.Items[0]
	web.Members = []fleet.GroupMember{
		{Instance: id(0x11111111), Name: "web-1", Host: id(0xa1), HostName: "kvm-1"},
		{Instance: id(0x44444444), Name: "web-2", Host: id(0xb2)},
	}
	pair := fleet.KeyPairOf(&fleet.Record{Subject: id(0x63), Name: "alice", Project: "default", PublicKey: aPublicKey, AcceptedAt: today.Add(-time.Hour), By: "operator alice"})
	n.answer("GET /v1/groups", http.StatusOK, groups)
	n.answer("GET /v1/groups/web", http.StatusOK, web)
	n.answer("POST /v1/groups", http.StatusCreated, groups.Items[0])
	n.answer("DELETE /v1/groups/web", http.StatusOK, fleet.Decided{
		Record: fleet.Record{Kind: fleet.EndGroup, Subject: id(0x61), Name: "web"}, Holders: []fleet.HostID{id(0xa1), id(0xb2), id(0xc3)},
	})
	n.answer("DELETE /v1/groups/db", http.StatusConflict, map[string]any{"code": "ambiguous", "detail": "2 server groups are named db; give the id of one"})
	n.answer("GET /v1/keypairs", http.StatusOK, fleet.List[fleet.KeyPair]{Items: []fleet.KeyPair{pair}})
	n.answer("GET /v1/keypairs/alice", http.StatusOK, pair)
	n.answer("POST /v1/keypairs", http.StatusCreated, pair)
	return n
}

func TestGroupsAndKeyPairsAreShown(t *testing.T) {
	n := objectNode(t)
	for file, args := range map[string][]string{
		"group-list.golden":   {"group", "list"},
		"group-show.golden":   {"group", "show", "web"},
		"keypair-list.golden": {"keypair", "list"},
	} {
		r := run(t, n.URL, args...)
		r.wants(t, 0, "", "")
		golden(t, file, r.out)
	}
	if list, show := run(t, n.URL, "keypair", "list"), run(t, n.URL, "keypair", "show", "alice"); list.out != show.out {
		t.Errorf("one key pair is shown as\n%s, and listed as\n%s", show.out, list.out)
	}
	var got fleet.List[fleet.Group]
	if err := json.Unmarshal([]byte(run(t, n.URL, "group", "list", "-o", "json").out), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theGroups(), got); diff != "" {
		t.Errorf("in JSON (-want +got)\n%s", diff)
	}
}

func TestGroupsAreMadeAndDeleted(t *testing.T) {
	n := objectNode(t)
	run(t, n.URL, "group", "create", "web", "--policy", "anti-affinity", "--project", "shop").wants(t, 0, "anti-affinity", "")
	run(t, n.URL, "group", "create", "web").wants(t, 2, "", "--policy")
	run(t, n.URL, "group", "create", "web", "--policy", "apart").wants(t, 1, "", "soft-anti-affinity")
	if got := n.requests(http.MethodPost); len(got) != 1 || got[0].Body != `{"name":"web","project":"shop","policy":"anti-affinity"}` {
		t.Errorf("asked for %v", got)
	}
	run(t, n.URL, "group", "delete", "web", "db").wants(t, 1, "server group web ("+id(0x61).String()+") is deleted; 3 agents hold that\n", "give the id of one")
}

func TestKeyPairIsMadeOfAFileAndNeverOfAPrivateKey(t *testing.T) {
	n := objectNode(t)
	dir := t.TempDir()
	public, private := filepath.Join(dir, "id.pub"), filepath.Join(dir, "id")
	for path, text := range map[string]string{public: aPublicKey + "\n", private: "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, n.URL, "keypair", "create", "alice", "--public-key", public).wants(t, 0, "SHA256:oc+FkQUTSvJiFizPaTKmATSozNAZwiLWwBU/9uq5YJw", "")
	run(t, n.URL, "keypair", "create", "alice", "--public-key", private).wants(t, 1, "", "is a private key")
	got := n.requests(http.MethodPost)
	if len(got) != 1 || got[0].Body != `{"name":"alice","public_key":"`+aPublicKey+`"}` {
		t.Errorf("asked for %v", got)
	}
}

func TestInstanceIsCreatedInAGroupWithAKeyPair(t *testing.T) {
	n := objectNode(t)
	n.answer("POST /v1/instances", http.StatusAccepted, fleet.Accepted{Instance: theInstances().Items[0]})
	run(t, n.URL, "instance", "create", "--name", "web", "--flavor", "small", "--image", "tiny", "--group", "web", "--key-pair", "alice", "--key", "k").wants(t, 0, "web", "")
	if got := n.requests(http.MethodPost); len(got) != 1 || got[0].Body != `{"name":"web","flavor":"small","image":"tiny","group":"web","key_pair":"alice"}` {
		t.Errorf("asked for %v", got)
	}
}
