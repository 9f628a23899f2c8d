package proofs

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deliberate is a mistake that somebody could make in the heart of the thing: text
// in a file that is there once, and what to put in its place.
type deliberate struct {
	name       string
	file       string // from the root of the tree
	text, with string
	pkg, run   string // the tests that must catch it
	env        string
}

// mistakes are what the tests of this package, of test/sim and some others are
// tried on: each must make one of them fail.
var mistakes = []deliberate{
	{
		name: "the ledger promises what does not fit",
		file: "agent/ledger/ledger.go",
		text: "if refusals := fleet.Fits(&row, &asked); len(refusals) > 0 {", with: "if refusals := fleet.Fits(&row, &asked); len(refusals) > 99 {",
		pkg: "./test/proofs", run: "Proof02",
	},
	{
		name: "the ledger does not count claims",
		file: "agent/ledger/ledger.go",
		text: `		if c.Fault == "" {`, with: `		if c.Fault != "" {`,
		pkg: "./test/proofs", run: "Proof02",
	},
	{
		name: "the ledger does not book what it promised",
		file: "agent/ledger/ledger.go",
		text: "	l.claims[p.ID] = claim\n", with: "",
		pkg: "./test/proofs", run: "Proof02",
	},
	{
		name: "the ledger forgets its claims over a restart",
		file: "agent/ledger/ledger.go",
		text: "		l.claims[c.ID()] = &c\n", with: "		_ = c\n",
		pkg: "./agent", run: "FailedBuildShows",
	},
	{
		name: "the ledger keeps claims that are over",
		file: "agent/ledger/ledger.go",
		text: "{ delete(l.claims, id) }", with: "{ _ = id }",
		pkg: "./test/proofs", run: "Proof17", env: "GRAPEVINE_PROOFS_FOR=1h",
	},
	{
		name: "the ledger does not say that a build failed",
		file: "agent/ledger/ledger.go",
		text: "		c.Fault = fault\n", with: "		_ = fault\n",
		pkg: "./agent", run: "FailedBuildShows",
	},
	{
		name: "the ledger does not count the claims of a group",
		file: "agent/ledger/group.go",
		text: "id != but && !built {", with: "id != but && !built && c.Fault != \"\" {",
		pkg: "./test/proofs", run: "Proof13Anti",
	},
	{
		name: "a key's home lets the last writer win",
		file: "agent/homes/homes.go",
		text: "|| ok && !change.Record.Succeeds(&held.Record, change.IfAttempt) {", with: "{",
		pkg: "./test/proofs", run: "Proof17", env: "GRAPEVINE_PROOFS_FOR=2h",
	},
	{
		name: "an instance is taken over before it is given",
		file: "agent/takeover.go",
		text: "case err == nil && (word == fleet.MoveGiven ||", with: "case err == nil && (word == fleet.MoveOpen || word == fleet.MoveGiven ||",
		pkg: "./test/proofs", run: "Proof09",
	},
	{
		name: "a moved instance's name does not lead to it",
		file: "agent/leadhere.go",
		text: "a.leadName(ctx, op, host))", with: "nil)",
		pkg: "./test/proofs", run: "Proof09",
	},
	{
		name: "what was deleted where it went is taken once more",
		file: "agent/moves.go",
		text: "	if m.Gone {", with: "	if m.Gone && m.ID == \"\" {",
		pkg: "./test/proofs", run: "Proof09",
	},
	{
		name: "the replica takes older blocks",
		file: "mesh/replica/apply.go",
		text: "if held != nil && d.Head.Compare(&held.head) <= 0 {", with: "if held != nil && d.Head.Compare(&held.head) == 0 {",
		pkg: "./test/sim", run: "ManyHistories",
	},
	{
		name: "the replica believes a head without looking at the rows",
		file: "mesh/replica/merge.go",
		text: "	if b.head != want {", with: "	if b.head.Host != want.Host {",
		pkg: "./test/sim", run: "ManyHistories",
	},
	{
		name: "the replica does not look at signatures",
		file: "mesh/replica/proof.go",
		text: "head.AppendSigned(space[:0]), signature); err != nil {", with: "head.AppendSigned(space[:0]), signature); err != nil && len(signature) == 0 {",
		pkg: "./mesh", run: "LieOnly",
	},
	{
		name: "the replica does not put a new block into its digest",
		file: "mesh/replica/apply.go",
		text: "		r.updateRoot(e.tag, old, b)\n", with: "",
		pkg: "./test/sim", run: "ManyHistories",
	},
}

// TestDeliberateMistakesAreStillMistakes checks that each can be made in the code
// as it is now.
func TestDeliberateMistakesAreStillMistakes(t *testing.T) {
	for _, m := range mistakes {
		source, err := os.ReadFile(filepath.Join("../..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), m.text); n != 1 {
			t.Errorf("%s: %q is in %s %d times; it must be there once, to be replaced", m.name, m.text, m.file, n)
		}
	}
}

// TestDeliberateMistakesAreCaught makes each mistake, and expects a proof to
// fail. It builds the tests anew for each, which takes minutes.
func TestDeliberateMistakesAreCaught(t *testing.T) {
	if long(1, 0) == 0 {
		t.Skip("it takes minutes: make proofs runs it")
	}
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			out, err := m.try(t)
			if err == nil {
				t.Fatalf("nothing was noticed:\n%s", out)
			}
			if !strings.Contains(out, "--- FAIL") {
				t.Fatalf("the tests could not be run: %v\n%s", err, out)
			}
			t.Logf("caught: %s", firstComplaint(out))
		})
	}
}

// try runs the tests on the tree with the mistake in it, which the tree itself
// never has.
func (m *deliberate) try(t *testing.T) (string, error) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(root, m.file)
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	wrong := filepath.Join(dir, "wrong.go")
	if err := os.WriteFile(wrong, []byte(strings.Replace(string(source), m.text, m.with, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: wrong}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-timeout", "25m", "-overlay", list, "-run", m.run, m.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GRAPEVINE_PROOFS=", m.env)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// firstComplaint is the line that follows the innermost failed test.
func firstComplaint(out string) string {
	after := out[strings.LastIndex(out, "--- FAIL"):]
	lines := strings.SplitN(after, "\n", 3)
	if len(lines) < 2 {
		return after
	}
	return strings.TrimSpace(lines[1])
}
