package agent_test

import (
	"bufio"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

func TestAgentThatIsMadeToLeaveEndsWithoutAnError(t *testing.T) {
	s := newSite(t, nil)
	got, err := s.Leave(t.Context())
	if err != nil || got.ID != s.agent.HostID() || got.Status != fleet.MemberLeft {
		t.Errorf("got %+v, %v; want the member that has left", got, err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("the agent ended with: %v", err)
		}
		s.ended <- nil
	case <-time.After(patience):
		t.Fatal("the agent goes on")
	}
}

func TestMetricsTellTheAgeOfTheView(t *testing.T) {
	s := newSite(t, nil)
	metrics, err := s.Metrics(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = metrics.Close() }()
	want := map[string]bool{`grapevine_mesh_host_age_seconds{hosts="known",percentile="99"} 0`: true, `grapevine_mesh_members{status="alive"} 1`: true}
	for lines := bufio.NewScanner(metrics); lines.Scan(); {
		delete(want, strings.TrimSpace(lines.Text()))
	}
	if len(want) > 0 {
		t.Errorf("the metrics have no %v", want)
	}
}

// A watch must not hold up the end of the agent.
func TestEndOfTheAgentEndsItsWatches(t *testing.T) {
	s := newSite(t, nil)
	w, err := s.Watch(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	s.halt()
	for {
		_, err := w.Next()
		if err == nil {
			continue // what the host published before its end
		}
		code(t, err, fleet.CodeNotReady)
		return
	}
}
