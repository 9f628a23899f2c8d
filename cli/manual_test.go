package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/internal/settings"
	"grapevine/registry"
)

func TestManualHasAPageOfEveryCommand(t *testing.T) {
	dir := t.TempDir()
	runNow(t, nil, "manual", dir).wants(t, 0, "", "")
	for name, wants := range map[string][]string{
		"grapevine.1":                 {".SH NAME\ngrapevine \\- Virtual machines", `\fBgrapevine\-instance\fR(1)`},
		"grapevine-agent.1":           {`\fB\-\-data\-dir\fR`, "(default /var/lib/grapevine/agent)", "OPTIONS OF EVERY COMMAND"},
		"grapevine-instance-create.1": {`\fB\-\-image\fR`, ".SH SEE ALSO\n\\fBgrapevine\\-instance\\fR(1)"},
	} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(text), want) {
				t.Errorf("%s lacks %q:\n%s", name, want, text)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "grapevine-manual.1")); err == nil {
		t.Error("the manual tells of a command that is hidden")
	}
	man, err := exec.LookPath("man")
	if err != nil {
		return // the pages are written; nobody here can judge them further
	}
	pages, err := filepath.Glob(filepath.Join(dir, "grapevine-host*.1"))
	if err != nil || len(pages) < 3 {
		t.Fatalf("got pages %v, %v", pages, err)
	}
	for _, path := range pages {
		cmd := exec.CommandContext(t.Context(), man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path)
		var said strings.Builder
		cmd.Stderr = &said
		if err := cmd.Run(); err != nil || said.Len() > 0 {
			t.Errorf("%s: %v\n%s", path, err, said.String())
		}
	}
}

// Texts in a page mean themselves.
func TestRoffTakesNoTextForARequest(t *testing.T) {
	if diff := cmp.Diff("\\&.so /etc/passwd\n\\&'x\na\\eb \\-\\-c", roff(".so /etc/passwd\n'x\na\\b --c")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestExampleConfigsListEveryKeyAndChangeNothing(t *testing.T) {
	ofRegistry := registry.Default()
	for daemon, keys := range map[string]*settings.Set{
		"agent": settings.For(defaultAgent(), environment), "registry": settings.For(&ofRegistry, environment),
	} {
		t.Run(daemon, func(t *testing.T) {
			example := printed(t, daemon, "--example-config")
			for _, k := range keys.Keys() {
				if !regexp.MustCompile(`(?m)^#(\[\[?)?` + k.Name + `(\]\]?)?( =|$)`).MatchString(example) {
					t.Errorf("the key %s is not in it", k.Name)
				}
			}
			plain := printed(t, daemon, "--check-config", "--config", write(t, "none.toml", ""))
			spoken := regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(example, "$1")
			for name, text := range map[string]string{"as it is": example, "taken at its word": spoken} {
				got := printed(t, daemon, "--check-config", "--config", write(t, "example.toml", text))
				if diff := cmp.Diff(plain, got); diff != "" {
					t.Errorf("%s: (-defaults +example)\n%s", name, diff)
				}
			}
		})
	}
}

// printed is what a command says that must succeed.
func printed(t *testing.T, args ...string) string {
	t.Helper()
	r := runNow(t, nil, args...)
	r.wants(t, 0, "", "")
	return r.out
}
