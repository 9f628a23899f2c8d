package registry

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"grapevine/api"
	"grapevine/api/client"
	"grapevine/fleet"
)

// serve lets the registry answer over HTTP.
func serve(t *testing.T, c *core) *client.Client {
	t.Helper()
	server := httptest.NewServer(api.NewHandler(c, api.Options{Principal: func(*http.Request) api.Principal { return api.Principal{Role: api.AsOperator} }}))
	t.Cleanup(server.Close)
	node, err := client.New(server.URL, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Close)
	return node
}

// lagging is a registry whose hosts have published version 1:9 of their account,
// of which it has heard nothing yet.
func lagging(t *testing.T) (*world, *core, *news, fleet.Version) {
	t.Helper()
	w := newWorld(t, 2)
	w.agents[0].row.Version = fleet.Version{Host: w.agents[0].row.ID, Epoch: 1, Seq: 9}
	c, n := w.registry()
	return w, c, n, w.agents[0].row.Version
}

func TestReadsAtARegistryThatLagsAreAnsweredByTheOwner(t *testing.T) {
	_, c, _, written := lagging(t)
	node := serve(t, c)
	id := running(1).ID
	if _, err := node.Instance(t.Context(), id); fleet.CodeOf(err) != fleet.CodeNotFound {
		t.Fatalf("got %v; want a registry that has not heard of the instance", err)
	}
	row, err := node.AtLeast(written).Instance(t.Context(), id)
	if err != nil || row.Name != "told by hosta" {
		t.Errorf("one: got %+v, %v; want what its owner tells", row, err)
	}
	list, err := node.AtLeast(written).Instances(t.Context(), fleet.InstanceQuery{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Name != "told by hosta" {
		t.Errorf("list: got %+v, %v; want what the owner tells", list, err)
	}
	hosts, err := node.AtLeast(written).Hosts(t.Context())
	if err != nil || len(hosts.Items) != 1 {
		t.Errorf("hosts: got %+v, %v; want the owner's list", hosts, err)
	}
}

func TestReadsAreAnsweredHereOnceTheNewsArrives(t *testing.T) {
	w, c, n, written := lagging(t)
	node := serve(t, c)
	_ = w.agents[0].server.Close() // whoever asks it now gets no answer
	in := running(1)
	for seq := uint64(2); seq <= written.Seq; seq++ {
		in.Generation = seq
		n.publish(w.agents[0].row, in)
	}
	row, err := node.AtLeast(written).Instance(t.Context(), in.ID)
	if err != nil || row.Name != "vm" {
		t.Errorf("got %+v, %v; want the row that was heard", row, err)
	}
}

func TestReadThatNobodyCanAnswerSaysSo(t *testing.T) {
	w, c, n, written := lagging(t)
	node := serve(t, c)
	future := written
	future.Seq = 100
	_, err := node.AtLeast(future).Hosts(t.Context())
	wantCode(t, err, fleet.CodeNotCurrent)
	_, err = node.AtLeast(fleet.Version{Host: fleet.UUID{77}, Epoch: 1, Seq: 1}).Hosts(t.Context())
	wantCode(t, err, fleet.CodeNotCurrent)
	_ = w.agents[0].server.Close()
	_, err = node.AtLeast(written).Hosts(t.Context())
	wantCode(t, err, fleet.CodeNotCurrent)
	n.status(w.agents[0].row.ID, fleet.MemberFailed)
	_, err = node.AtLeast(written).Hosts(t.Context())
	wantCode(t, err, fleet.CodeNotCurrent)
}

func TestFreshReadIsTheOwnersAndNeverAStaleOne(t *testing.T) {
	w, c, n, _ := lagging(t)
	node := serve(t, c)
	in := running(1)
	n.publish(w.agents[1].row, in)
	row, err := node.FreshInstance(t.Context(), in.ID)
	if err != nil || row.Name != "seen by hostb" {
		t.Errorf("instance: got %+v, %v; want what its host has just seen", row, err)
	}
	host, err := node.FreshHost(t.Context(), w.agents[1].row.ID)
	if err != nil || host.Name != "seen by itself" {
		t.Errorf("host: got %+v, %v; want what it has just seen", host, err)
	}
	_, err = node.OwnInstance(t.Context(), in.ID)
	wantCode(t, err, fleet.CodeMisdirected)
	_ = w.agents[1].server.Close()
	_, err = node.FreshInstance(t.Context(), in.ID)
	wantCode(t, err, fleet.CodeNotCurrent)
	n.status(w.agents[1].row.ID, fleet.MemberFailed)
	_, err = node.FreshHost(t.Context(), w.agents[1].row.ID)
	wantCode(t, err, fleet.CodeNotCurrent)
	if row, err := node.Instance(t.Context(), in.ID); err != nil || row.Reachability != fleet.ReachUnreachable {
		t.Errorf("without fresh: got %+v, %v; want the last heard row, marked", row, err)
	}
}

// That a registry has not heard of an instance says nothing of now: it may be
// cut off from a host that has just made it.
func TestFreshReadOfWhatTheRegistryHasNotHeardOfAsksAllHosts(t *testing.T) {
	w, c, n, _ := lagging(t)
	node := serve(t, c)
	id := running(1).ID
	w.agents[1].empty.Store(true)
	row, err := node.FreshInstance(t.Context(), id)
	if err != nil || row.Name != "seen by hosta" {
		t.Errorf("got %+v, %v; want what the host that has it has just seen", row, err)
	}
	w.agents[0].empty.Store(true)
	_, err = node.FreshInstance(t.Context(), id)
	wantCode(t, err, fleet.CodeNotFound)
	_ = w.agents[0].server.Close()
	_, err = node.FreshInstance(t.Context(), id)
	wantCode(t, err, fleet.CodeNotCurrent)
	n.status(w.agents[0].row.ID, fleet.MemberFailed)
	_, err = node.FreshInstance(t.Context(), id)
	wantCode(t, err, fleet.CodeNotCurrent)
}

func TestFreshReadDoesNotSpeakForAnAgentThatWasNeverHeard(t *testing.T) {
	w, c, n, _ := lagging(t)
	node := serve(t, c)
	for _, a := range w.agents {
		a.empty.Store(true)
	}
	n.status(fleet.UUID{77}, fleet.MemberAlive)
	_, err := node.FreshInstance(t.Context(), running(1).ID)
	wantCode(t, err, fleet.CodeNotCurrent)
}
