package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/internal/settings"
	"grapevine/internal/testlog"
	"grapevine/registry"
)

// agentFiles makes a fleet's CA and an agent's certificate, and an agent.toml
// for a simulated host with these lines added.
func agentFiles(t *testing.T, lines ...string) (dir, config string) {
	t.Helper()
	dir = t.TempDir()
	runNow(t, nil, "tls", "init", "--dir", dir+"/ca", "--fleet", "one").wants(t, 0, "", "")
	runNow(t, nil, "tls", "issue", "--dir", dir+"/ca", "--role", "agent", "--name", "sim-1", "--id", id(7).String(), "--out", dir+"/tls").wants(t, 0, "", "")
	text := fmt.Sprintf(`name = "sim-1"
data_dir = %q
socket = %q
listen = "127.0.0.1:0"
gossip_bind = "127.0.0.1:0"
tls_ca = %q
tls_cert = %q
tls_key = %q
gossip_key_file = %q
driver = "simulated"
`, dir+"/state", dir+"/agent.sock", dir+"/tls/ca.pem", dir+"/tls/agent.pem", dir+"/tls/agent-key.pem", dir+"/tls/gossip.key")
	config = filepath.Join(dir, "agent.toml")
	if err := os.WriteFile(config, []byte(text+strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, config
}

func TestMistakesInAConfigurationAreOneSentence(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir, config := agentFiles(t)
	_, unknown := agentFiles(t, "lisen = 5")
	run := func(args ...string) result { return runNow(t, nil, append([]string{"agent", "--config"}, args...)...) }
	for _, c := range []struct {
		name string
		got  result
		code int
		want string
	}{
		{"unknown key", run(unknown), 1, `agent.toml:11: unknown key "lisen"; did you mean "listen"?`},
		{"no such file", run("/nowhere/agent.toml"), 1, "/nowhere/agent.toml"},
		{"unknown flag", run(config, "--lisen", "x"), 2, "unknown flag: --lisen"},
		{"bad flag", run(config, "--list-every", "soon"), 2, `"soon" is not a duration; write it like 30s or 5m`},
		{"bad value", run(config, "--overcommit-vcpus", "-1"), 1, "overcommit_vcpus is -1"},
		{"log level", run(config, "--log-level", "loud"), 1, `log_level is "loud"; it must be debug, info, warn or error`},
		{"driver", run(config, "--driver", "vmm"), 1, `driver is "vmm"; it must be libvirt, esxi or simulated`},
		{"esxi without a password", run(config, "--driver", "esxi"), 1, "esxi_password_file is not set"},
		{"port in use", run(config, "--listen", taken.Addr().String()), 1, "in use"},
		{"no certificate", run(config, "--tls-cert", "/nowhere/a.pem"), 1, "/nowhere/a.pem does not exist; make it with grapevine tls"},
		{"certificate of a key", run(config, "--tls-cert", dir+"/tls/agent-key.pem"), 1, "holds no PEM certificate"},
		{"no gossip key", run(config, "--gossip-key-file", dir+"/tls/ca.pem"), 1, "gossip key file"},
		{"another fleet", run(config, "--fleet", "two"), 1, `"two"`},
		{"registry with an agent's certificate", runNow(t, nil, "registry", "--tls-ca", dir+"/tls/ca.pem", "--tls-cert", dir+"/tls/agent.pem", "--tls-key", dir+"/tls/agent-key.pem", "--listen", "127.0.0.1:0"), 1, "is for the role agent, and registry is needed"},
		{"registry in the open", runNow(t, nil, "registry", "--listen", "0.0.0.0:7948"), 1, "listen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.got.wants(t, c.code, "", c.want)
			if last := strings.TrimSuffix(c.got.err, "\n"); !strings.HasPrefix(last[strings.LastIndex(last, "\n")+1:], "grapevine: ") {
				t.Errorf("got %q, want its last line to be the sentence", c.got.err)
			}
		})
	}
}

func TestCheckConfigShowsWhatWasUnderstood(t *testing.T) {
	_, config := agentFiles(t, `zone = "file"`, `join = ["a", "b"]`)
	env := map[string]string{"GRAPEVINE_ZONE": "variable", "GRAPEVINE_JOIN": "c,d"}
	r := runNow(t, env, "agent", "--config", config, "--check-config", "--join", "e", "-o", "json")
	var got map[string]string
	if err := json.Unmarshal([]byte(r.out), &got); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	want := map[string]string{"name": "sim-1", "zone": "variable", "join": "e", "driver": "simulated", "list_every": "5s"}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: got %q, want %q", key, got[key], value)
		}
	}
}

func TestAgentServesItsSocketAndEndsInOrder(t *testing.T) {
	dir, config := agentFiles(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log testlog.Log
	ended := make(chan int, 1)
	go func() {
		ended <- Main(ctx, []string{"agent", "--config", config}, strings.NewReader(""), &log, &log)
	}()
	socket := "unix://" + dir + "/agent.sock"
	deadline := time.Now().Add(30 * time.Second)
	for !strings.Contains(log.String(), "msg=ready") {
		select {
		case code := <-ended:
			t.Fatalf("the agent ended with %d:\n%s", code, log.String())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the agent is not ready after 30 s:\n%s", log.String())
		}
	}
	env := map[string]string{"GRAPEVINE_ADDR": socket}
	var hosts fleet.List[fleet.Host]
	r := runNow(t, env, "host", "list", "-o", "json")
	if err := json.Unmarshal([]byte(r.out), &hosts); err != nil || len(hosts.Items) != 1 || hosts.Items[0].ID != id(7) || hosts.Items[0].Name != "sim-1" {
		t.Errorf("got %+v, %v, %s; want the one host", hosts, err, r.err)
	}
	runNow(t, nil, "doctor", "--agent-config", config).wants(t, 0, "an agent answers on it", "")
	runNow(t, nil, "agent", "--config", config).wants(t, 1, "", "grapevine: ")
	cancel()
	if code := <-ended; code != 0 {
		t.Errorf("got exit code %d, want 0\n%s", code, log.String())
	}
	runNow(t, env, "host", "list").wants(t, 1, "", "grapevine: cannot reach")
}

func TestDoctorNamesTheLineOfABadKey(t *testing.T) {
	_, config := agentFiles(t, "lisen = 5")
	runNow(t, nil, "doctor", "--agent-config", config).wants(t, 1, `unknown key "lisen"; did you mean "listen"?`, "")
	registryFile := write(t, "registry.toml", "listen = \"0.0.0.0:7948\"\n")
	runNow(t, nil, "doctor", "--registry-config", registryFile).wants(t, 1, "plain HTTP", "")
}

// keysTable is the documentation of a configuration, from the configuration.
func keysTable(target any) string {
	keys := settings.For(target, environment)
	var b strings.Builder
	b.WriteString("| key | default | means |\n| --- | --- | --- |\n")
	for _, k := range keys.Keys() {
		value := k.Current()
		if k.FileOnly {
			value = "built-in"
		}
		if value != "" {
			value = "`" + value + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, value, k.Help)
	}
	return b.String()
}

func TestOperationsListsEveryKey(t *testing.T) {
	const path = "../docs/operations.md"
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := registry.Default()
	got := string(page)
	for name, table := range map[string]string{"agent.toml": keysTable(defaultAgent()), "registry.toml": keysTable(&config)} {
		begin, end := "<!-- keys of "+name+" -->\n", "<!-- end -->"
		before, rest, ok := strings.Cut(got, begin)
		_, after, ok2 := strings.Cut(rest, end)
		if !ok || !ok2 {
			t.Fatalf("%s has no place for the keys of %s", path, name)
		}
		got = before + begin + table + end + after
	}
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(page), got); diff != "" {
		t.Errorf("%s is out of date, rewrite it with go test ./cli -update (-page +code)\n%s", path, diff)
	}
}
