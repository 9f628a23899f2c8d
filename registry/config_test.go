package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/internal/settings"
)

func TestDefaultIsValid(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Errorf("default configuration: %v", err)
	}
}

func TestValidateNamesTheKeyAtFault(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // part of the sentence; empty: no error
	}{
		{"plain HTTP beyond loopback", func(c *Config) { c.Listen = "0.0.0.0:7948" }, "listen_tls = true"},
		{"plain HTTP on a name", func(c *Config) { c.Listen = "registry1:7948" }, "listen_tls = true"},
		{"TLS beyond loopback", func(c *Config) { c.Listen, c.ListenTLS = "0.0.0.0:7948", true }, ""},
		{"IPv6 loopback", func(c *Config) { c.Listen = "[::1]:7948" }, ""},
		{"localhost", func(c *Config) { c.Listen = "localhost:7948" }, ""},
		{"port 0 for tests", func(c *Config) { c.Listen = "127.0.0.1:0" }, ""},
		{"no port", func(c *Config) { c.Listen = "127.0.0.1" }, "listen is"},
		{"every address", func(c *Config) { c.Listen = ":7948" }, "listen_tls = true"},
		{"bad port", func(c *Config) { c.GossipBind = "0.0.0.0:70000" }, "gossip_bind is"},
		{"bad advertise", func(c *Config) { c.GossipAdvertise = "here" }, "gossip_advertise is"},
		{"empty join entry", func(c *Config) { c.Join = []string{"a", " "} }, "join has"},
		{"no key file", func(c *Config) { c.TLSKey = "" }, "tls_key is"},
		{"no gossip key", func(c *Config) { c.GossipKeyFile = "" }, "gossip_key_file is"},
		{"control character in name", func(c *Config) { c.Name = "a\x07" }, "name"},
		{"bad fleet", func(c *Config) { c.Fleet = "No Such" }, "fleet name"},
		{"no flavors", func(c *Config) { c.Flavors = nil }, "flavors is"},
		{"negative flavor", func(c *Config) {
			c.Flavors = []fleet.Flavor{{Name: "x", Resources: fleet.Resources{VCPUs: -1, MemoryMiB: 1}}}
		}, "vcpus is -1"},
		{"flavor twice", func(c *Config) { c.Flavors = append(c.Flavors, c.Flavors[0]) }, "is there twice"},
		{"pack", func(c *Config) { c.Placement = fleet.Pack }, ""},
		{"unknown placement", func(c *Config) { c.Placement = "first" }, "placement is"},
		{"no placement", func(c *Config) { c.Placement = "" }, "placement is"},
		{"time-out of zero", func(c *Config) { c.RequestTimeout = 0 }, "request_timeout is"},
		{"grace below zero", func(c *Config) { c.ShutdownGrace = -time.Second }, "shutdown_grace is"},
		{"log level", func(c *Config) { c.LogLevel = "loud" }, "log_level is"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := Default()
			test.change(&c)
			err := c.Validate()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error = %v; want one with %q", err, test.want)
			}
		})
	}
}

func TestConfigIsReadFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "registry.toml")
	text := "listen = \"[::1]:8080\"\nplacement = \"pack\"\njoin = [\"a\", \"b:1\"]\n[[flavors]]\nname = \"huge\"\nvcpus = 64\nmemory_mib = 262144\ndisk_gib = 100\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := Default()
	if err := settings.For(&got, "GRAPEVINE").Load(path, func(string) (string, bool) { return "", false }); err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Listen, want.Placement, want.Join = "[::1]:8080", fleet.Pack, []string{"a", "b:1"}
	want.Flavors = []fleet.Flavor{{Name: "huge", Resources: fleet.Resources{VCPUs: 64, MemoryMiB: 262144, DiskGiB: 100}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}
