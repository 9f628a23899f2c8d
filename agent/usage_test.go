package agent_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
	"grapevine/identity"
)

func TestUsageOfRunningMachinesIsToldAndScraped(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	p.Project = "shop"
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	foreign, err := s.hypervisor.Define(simulated.Foreign{Name: "legacy", Running: true, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 256}})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(foreign) != nil })
	used, err := s.Usage(t.Context(), p.ID)
	if err != nil || used.Instance != p.ID || used.CPUSeconds == nil || used.MemoryBytes == nil || *used.MemoryBytes != 512<<20 {
		t.Fatalf("got %+v, %v; want the CPU time and 512 MiB", used, err)
	}
	text := s.scrape()
	for _, want := range []string{
		"# TYPE grapevine_instance_cpu_seconds_total counter",
		`grapevine_instance_memory_bytes{instance="` + p.ID.String() + `",project="shop"} 5.36870912e+08`,
		`grapevine_instance_network_receive_bytes_total{instance="` + foreign.String() + `",project=""} `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not in what is scraped: %s", want)
		}
	}

	if _, err := s.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Fatal(err)
	}
	if used, err := s.Usage(t.Context(), p.ID); err != nil || used.Usage != (fleet.Usage{}) {
		t.Errorf("got %+v, %v for a stopped machine, want nothing", used, err)
	}
	if strings.Contains(s.scrape(), `{instance="`+p.ID.String()) {
		t.Error("a stopped machine is scraped")
	}
	_, err = s.Usage(t.Context(), fleet.UUID{0xee})
	code(t, err, fleet.CodeNotFound)

	s.hypervisor.Cut()
	if text := s.scrape(); strings.Contains(text, "grapevine_instance_") || !strings.Contains(text, "grapevine_agent_claims_total") {
		t.Error("want a silent hypervisor to leave out the machines, and nothing else")
	}
	s.hypervisor.Restore()
}

// scrape reads the agent's metrics.
func (s *site) scrape() string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "https://"+s.agent.Addr()+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	registry := s.issue(identity.Registry, fleet.UUID{99})
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: registry.ClientTLS(s.id, "http/1.1")}}
	defer c.CloseIdleConnections()
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("scrape: %s, %v", resp.Status, err)
	}
	return string(b)
}
