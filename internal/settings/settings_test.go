package settings

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

type shared struct {
	Join []string `toml:"join" help:"who to join"`
}

type table struct {
	Name  string `toml:"name"`
	VCPUs int    `toml:"vcpus"`
}

type config struct {
	shared
	DataDir  string            `toml:"data_dir" help:"where state is kept"`
	Interval time.Duration     `toml:"interval"`
	Ratio    float64           `toml:"ratio"`
	Reserve  int64             `toml:"reserve"`
	Debug    bool              `toml:"debug"`
	Host     fleet.UUID        `toml:"host"`
	Labels   map[string]string `toml:"labels"`
	Flavors  []table           `toml:"flavor"`
}

func load(t *testing.T, file string, env map[string]string, flags map[string]string) (config, error) {
	t.Helper()
	c := config{DataDir: "/default", Interval: time.Second, Ratio: 1}
	set := For(&c, "GRAPEVINE")
	for _, k := range set.Keys() {
		if text, ok := flags[k.Flag()]; ok {
			if err := k.Set(text); err != nil {
				return c, err
			}
		}
	}
	path := ""
	if file != "" {
		path = filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	err := set.Load(path, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	return c, err
}

func TestFlagOutranksEnvironmentOutranksFileOutranksDefault(t *testing.T) {
	file := "data_dir = \"/file\"\nratio = 2.5\njoin = [\"a\", \"b\"]\ninterval = \"3s\"\n[[flavor]]\nname = \"x\"\nvcpus = 3\n"
	got, err := load(t, file,
		map[string]string{"GRAPEVINE_DATA_DIR": "/env", "GRAPEVINE_RESERVE": "7", "GRAPEVINE_JOIN": "c, d", "GRAPEVINE_HOST": "00000000-0000-0000-0000-000000000001"},
		map[string]string{"data-dir": "/flag", "debug": "true"})
	if err != nil {
		t.Fatal(err)
	}
	want := config{
		shared: shared{Join: []string{"c", "d"}}, DataDir: "/flag", Interval: 3 * time.Second, Ratio: 2.5, Reserve: 7, Debug: true,
		Host: fleet.UUID{15: 1}, Flavors: []table{{"x", 3}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(config{})); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestMistakesNameTheirPlace(t *testing.T) {
	for _, c := range []struct {
		name, file string
		env, flags map[string]string
		want       string
	}{
		{"unknown key", "join = []\ndata-dir = 1\n", nil, nil, `agent.toml:2: unknown key "data-dir"; did you mean "data_dir"?`},
		{"far from any", "\n\nfrobnicate = 1\n", nil, nil, `agent.toml:3: unknown key "frobnicate"; list the keys with --help`},
		{"pair", "", map[string]string{"GRAPEVINE_LABELS": "rack=r1,tier"}, nil, `variable GRAPEVINE_LABELS: "tier" is not of the form key=value`},
		{"pair twice", "", nil, map[string]string{"labels": "rack=r1,rack=r2"}, `"rack" is given twice`},
		{"pair without a text", "debug = true\nlabels = {rack = 12}\n", nil, nil, `agent.toml:2: `},
		{"unknown in a table", "[[flavor]]\nname = \"a\"\n\n[[flavor]]\nvcpu = 2\n", nil, nil, `agent.toml:5: unknown key "flavor.vcpu"`},
		{"unknown table", "debug = true\n[mesh]\nx = 1\n", nil, nil, `agent.toml:2: unknown key "mesh"`},
		{"syntax", "debug = true\nratio = \n", nil, nil, `agent.toml:2: `},
		{"type", "debug = true\nreserve = \"many\"\n", nil, nil, `agent.toml:2: reserve: `},
		{"variable", "", map[string]string{"GRAPEVINE_RESERVE": "lots"}, nil, `variable GRAPEVINE_RESERVE: "lots" is not a whole number of 64 bits`},
		{"duration", "", map[string]string{"GRAPEVINE_INTERVAL": "5"}, nil, `"5" is not a duration; write it like 30s or 5m`},
		{"flag", "", nil, map[string]string{"debug": "perhaps"}, `"perhaps" is neither true nor false`},
		{"uuid", "", map[string]string{"GRAPEVINE_HOST": "me"}, nil, `variable GRAPEVINE_HOST: "me": not a UUID`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.file, c.env, c.flags)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v, want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("got %q, want one line", err)
			}
		})
	}
}

func TestAbsentFileIsAnError(t *testing.T) {
	err := For(&config{}, "GRAPEVINE").Load(filepath.Join(t.TempDir(), "no.toml"), os.LookupEnv)
	if err == nil || !strings.Contains(err.Error(), "no.toml") {
		t.Errorf("got %v, want an error that names the file", err)
	}
}

func TestKeysHaveFlagVariableAndDefault(t *testing.T) {
	c := config{shared: shared{Join: []string{"x", "y"}}, Interval: 90 * time.Second}
	set := For(&c, "GRAPEVINE")
	type row struct{ Flag, Env, Type, Default string }
	var got []row
	for _, k := range set.Keys() {
		if !k.FileOnly {
			got = append(got, row{k.Flag(), set.Env(k), k.Type(), k.String()})
		}
	}
	want := []row{
		{"join", "GRAPEVINE_JOIN", "list", "x,y"},
		{"data-dir", "GRAPEVINE_DATA_DIR", "string", ""},
		{"interval", "GRAPEVINE_INTERVAL", "duration", "1m30s"},
		{"ratio", "GRAPEVINE_RATIO", "string", "0"},
		{"reserve", "GRAPEVINE_RESERVE", "number", "0"},
		{"debug", "GRAPEVINE_DEBUG", "bool", "false"},
		{"host", "GRAPEVINE_HOST", "string", ""},
		{"labels", "GRAPEVINE_LABELS", "pairs", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestListsOfTheFileReplaceTheDefaultOnes(t *testing.T) {
	type sizes struct {
		Flavors []table  `toml:"flavor"`
		Join    []string `toml:"join"`
	}
	c := sizes{Flavors: []table{{"nano", 1}, {"tiny", 2}}, Join: []string{"a"}}
	path := filepath.Join(t.TempDir(), "agent.toml")
	if err := os.WriteFile(path, []byte("[[flavor]]\nname = \"own\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := For(&c, "GRAPEVINE").Load(path, os.LookupEnv); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sizes{Flavors: []table{{"own", 0}}, Join: []string{"a"}}, c); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestPairsAreATableInTheFileAndATextElsewhere(t *testing.T) {
	file := "labels = {rack = \"r1\", note = \"a, b\"}\n"
	for _, c := range []struct {
		name       string
		env, flags map[string]string
		want       map[string]string
	}{
		{"of the file", nil, nil, map[string]string{"rack": "r1", "note": "a, b"}},
		{"of the variable, and not of both", map[string]string{"GRAPEVINE_LABELS": "rack=r2, tier=a=b"}, nil, map[string]string{"rack": "r2", "tier": "a=b"}},
		{"of the flag", map[string]string{"GRAPEVINE_LABELS": "rack=r2"}, map[string]string{"labels": "tier="}, map[string]string{"tier": ""}},
	} {
		got, err := load(t, file, c.env, c.flags)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, got.Labels); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
	c := config{Labels: map[string]string{"b": "2", "a": "1"}}
	for _, k := range For(&c, "GRAPEVINE").Keys() {
		if k.Name == "labels" && (k.FileOnly || k.Current() != "a=1,b=2" || k.Type() != "pairs") {
			t.Errorf("labels are shown as %q of type %s, for the file alone: %v", k.Current(), k.Type(), k.FileOnly)
		}
	}
}
