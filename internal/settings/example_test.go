package settings

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// An example that is taken at its word, all comment signs of settings removed,
// says what the defaults say.
func TestExampleListsEveryKeyAtItsDefault(t *testing.T) {
	defaults := func() config {
		return config{
			shared: shared{Join: []string{"a", "b"}}, DataDir: "/var/lib/x", Interval: 90 * time.Second, Ratio: 4,
			Reserve: 512, Labels: map[string]string{"rack": "r1", "note": "a, b"}, Flavors: []table{{"nano", 1}, {"tiny", 2}},
		}
	}
	filled := defaults()
	set := For(&filled, "GRAPEVINE")
	example := set.Example()
	for _, k := range set.Keys() {
		if !regexp.MustCompile(`(?m)^#(\[\[)?` + k.Name + `\b`).MatchString(example) {
			t.Errorf("the key %s is not in the example:\n%s", k.Name, example)
		}
	}
	for _, want := range []string{"# where state is kept. Flag --data-dir, variable GRAPEVINE_DATA_DIR.\n#data_dir = \"/var/lib/x\"\n", "#ratio = 4.0\n"} {
		if !strings.Contains(example, want) {
			t.Errorf("the example lacks %q:\n%s", want, example)
		}
	}
	spoken := regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(example, "$1")
	for _, text := range []string{example, spoken} {
		path := filepath.Join(t.TempDir(), "agent.toml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got := defaults()
		if text == spoken {
			got = config{}
		}
		if err := For(&got, "GRAPEVINE").Load(path, func(string) (string, bool) { return "", false }); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if diff := cmp.Diff(defaults(), got, cmp.AllowUnexported(config{})); diff != "" {
			t.Errorf("(-want +got)\n%s\n%s", diff, text)
		}
	}
	for line := range strings.SplitSeq(example, "\n") {
		if strings.HasPrefix(line, "# ") && len(line) > exampleWidth {
			t.Errorf("got a line of %d characters: %s", len(line), line)
		}
	}
}
