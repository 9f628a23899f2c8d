package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"gopkg.in/yaml.v3"
)

// What agents and registries show to Prometheus is named as it asks, and holds
// every metric that the alert rules and the dashboard of docs/monitoring name.
func TestMonitoringNamesWhatTheDaemonsShow(t *testing.T) {
	w := newWorld(t)
	agent, registry := w.agent("sim-1", 4096, ""), w.registry("registry-1")
	w.complete([]*node{agent, registry}, 1)
	registry.importTiny()
	registry.create("--name", "web", "--flavor", "nano", "--image", "tiny")

	named := map[string]bool{}
	name := regexp.MustCompile(`(?m)^# TYPE (\S+) (\S+)$`)
	for _, n := range []*node{agent, registry} {
		shown := n.metrics()
		problems, err := promlint.New(bytes.NewReader(shown)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s shows %s: %s", n.name, p.Metric, p.Text)
		}
		for _, found := range name.FindAllSubmatch(shown, -1) {
			named[string(found[1])] = true
			if string(found[2]) == "histogram" {
				named[string(found[1])+"_bucket"] = true
			}
		}
	}
	if len(named) < 30 {
		t.Fatalf("got %d metrics in all, want what a fleet shows", len(named))
	}
	for _, file := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile("../../docs/monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		names := regexp.MustCompile(`\b(grapevine|process|go)_[a-z_]+`).FindAllString(string(text), -1)
		if len(names) < 8 {
			t.Errorf("%s names %v; want the metrics of a fleet", file, names)
		}
		for _, name := range names {
			if !named[name] {
				t.Errorf("%s names %s, which neither an agent nor a registry shows", file, name)
			}
		}
	}
}

// metrics is what a node shows to Prometheus.
func (n *node) metrics() []byte {
	n.w.t.Helper()
	out, err := exec.Command("curl", append(n.curl(), n.addr()+"/metrics")...).Output()
	if err != nil {
		n.w.t.Fatalf("read the metrics of %s: %v: %s", n.name, err, out)
	}
	return out
}

// Whoever is woken by an alert is told what to do.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	text, err := os.ReadFile("../../docs/monitoring/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr, For string
				Labels           map[string]string
				Annotations      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal(text, &file); err != nil || len(file.Groups) != 1 || len(file.Groups[0].Rules) < 5 {
		t.Fatalf("got %+v, %v; want one group of rules", file, err)
	}
	seen := map[string]bool{}
	for _, rule := range file.Groups[0].Rules {
		if seen[rule.Alert] || !strings.HasPrefix(rule.Alert, "Grapevine") || rule.Expr == "" {
			t.Errorf("rule %q: it needs a name of its own and an expression", rule.Alert)
		}
		seen[rule.Alert] = true
		if rule.Annotations["summary"] == "" || rule.Annotations["action"] == "" || rule.Labels["severity"] == "" {
			t.Errorf("rule %s has %v and %v; want a severity, a summary and an action", rule.Alert, rule.Labels, rule.Annotations)
		}
	}
}

// The dashboard is one that Grafana can import: its panels have ids and places
// of their own, and each asks for something.
func TestDashboardIsWhole(t *testing.T) {
	text, err := os.ReadFile("../../docs/monitoring/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Title, UID string
		Panels     []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil || board.UID == "" || len(board.Panels) < 10 {
		t.Fatalf("got %d panels, uid %q, %v", len(board.Panels), board.UID, err)
	}
	taken := map[string]string{}
	for _, p := range board.Panels {
		for _, place := range []string{fmt.Sprint("id ", p.ID), fmt.Sprint("place ", p.GridPos.X, ",", p.GridPos.Y)} {
			if taken[place] != "" {
				t.Errorf("panels %q and %q have the same %s", p.Title, taken[place], place)
			}
			taken[place] = p.Title
		}
		for _, target := range p.Targets {
			if target.Expr == "" || strings.Count(target.Expr, "(") != strings.Count(target.Expr, ")") {
				t.Errorf("panel %q asks %q", p.Title, target.Expr)
			}
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
	}
}
