package people

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
)

// cheap is the hash of "secret word", at the least cost that there is.
const cheap = "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$"

func hashed(t *testing.T, password string) string {
	t.Helper()
	p := phc{memoryKiB: 8, passes: 1, lanes: 1, salt: []byte("saltsalt"), sum: make([]byte, sumBytes)}
	p.sum = p.of(password)
	if !strings.HasPrefix(p.String(), cheap) {
		t.Fatalf("a hash is written %s", &p)
	}
	return p.String()
}

// good is a file with all that there may be; %s are a password's and a key's hash.
const good = `token_life = "30m"
requests_per_second = 7

[[users]]
name = "root"
password = "%[1]s"
role = "admin"

[[users]]
name = "alice@example.org"
password = "%[1]s"

  [[users.keys]]
  name = "ci"
  sha256 = "%[2]s"
  project = "shop"

[[users]]
name = "bob"

[[users]]
name = "gone"
password = "%[1]s"
disabled = true

[[projects]]
name = "shop"
members = ["alice@example.org"]
readers = ["bob"]
network = "lan"

  [projects.quota]
  instances = 2
  memory_mib = 4096

[[projects]]
name = "lab"
members = ["alice@example.org", "gone"]
`

func read(t *testing.T, text string) *Book {
	t.Helper()
	b, err := Read("users.toml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFileSaysWhoMayDoWhat(t *testing.T) {
	key, hash := NewAPIKey()
	b := read(t, fmt.Sprintf(good, hashed(t, "secret word"), hash))
	if b.TokenLife() != 30*time.Minute || b.RequestsPerSecond() != 7 || len(b.Hash()) != 8 {
		t.Errorf("life %s, %d a second, hash %q", b.TokenLife(), b.RequestsPerSecond(), b.Hash())
	}
	for _, tt := range []struct{ user, password, project, want string }{
		{"root", "secret word", "", "admin in "},
		{"root", "secret word", "shop", "admin in shop"},
		{"alice@example.org", "secret word", "shop", "member in shop"},
		{"alice@example.org", "secret word", "", "several projects; name one of them: lab, shop"},
		{"alice@example.org", "secret word", "other", "no such project; their own are: lab, shop"},
		{"alice@example.org", "secret words", "shop", ErrWrong.Detail},
		{"alice@example.org", "", "shop", ErrWrong.Detail},
		{"alice@example.org", strings.Repeat("x", MaxPasswordBytes+1), "shop", ErrWrong.Detail},
		{"bob", "secret word", "shop", ErrWrong.Detail}, // has no password
		{"bob", "", "shop", ErrWrong.Detail},
		{"gone", "secret word", "lab", ErrWrong.Detail}, // is disabled
		{"nobody", "secret word", "shop", ErrWrong.Detail},
	} {
		who, err := b.ByPassword(tt.user, tt.password)
		checkGrant(t, b, who, err, tt.project, tt.want)
	}
	who, err := b.ByKey(key)
	checkGrant(t, b, who, err, "", "member in shop")
	checkGrant(t, b, who, err, "lab", "for project shop alone")
	_, err = b.ByKey(key + "x")
	checkGrant(t, b, Who{}, err, "", ErrWrong.Detail)
	if role := b.RoleIn("bob", "shop"); role != Reader {
		t.Errorf("bob is %q in shop", role)
	}
	if role := b.RoleIn("gone", "lab"); role != "" {
		t.Errorf("one who is disabled is %q", role)
	}
	if p := b.Project("shop"); p.Network != "lan" || *p.Quota.Instances != 2 || p.Quota.VCPUs != nil {
		t.Errorf("project %+v", p)
	}
}

func checkGrant(t *testing.T, b *Book, who Who, err error, project, want string) {
	t.Helper()
	got := ""
	if err == nil {
		var g Grant
		g, err = b.Grant(who, project)
		got = fmt.Sprintf("%s in %s", g.Role, g.Project)
		if g.Group != "" {
			got += " by " + g.Group
		}
	}
	if err != nil {
		got = err.Error()
	}
	if err == nil && got != want || !strings.Contains(got, want) {
		t.Errorf("%+v: got %q, want %q", who, got, want)
	}
}

func TestAnUnknownUserCostsAsMuchAsAWrongPassword(t *testing.T) {
	b := read(t, fmt.Sprintf("[[users]]\nname = \"a\"\npassword = %q\n", hashed(t, "secret word")))
	if b.decoy.parameters() != "m=8,t=1,p=1" {
		t.Errorf("the decoy costs %s", b.decoy.parameters())
	}
	_, wrong := b.ByPassword("a", "x")
	_, unknown := b.ByPassword("b", "x")
	if !errors.Is(wrong, unknown) || wrong.Error() != unknown.Error() {
		t.Errorf("%v and %v differ", wrong, unknown)
	}
}

func TestKeyOfAnAdminForOneProjectIsItsMember(t *testing.T) {
	key, hash := NewAPIKey()
	b := read(t, "[[users]]\nname = \"root\"\nrole = \"admin\"\nkeys = [{name = \"ci\", sha256 = \""+hash+"\", project = \"shop\"}]\n[[projects]]\nname = \"shop\"\n")
	who, err := b.ByKey(key)
	checkGrant(t, b, who, err, "", "member in shop")
}

func TestFileIsRefusedWithTheLine(t *testing.T) {
	_, hash := NewAPIKey()
	file := fmt.Sprintf(good, hashed(t, "secret word"), hash)
	for name, tt := range map[string]struct{ old, with, want string }{
		"unknown key":          {"disabled = true", "dissabled = true", `users.toml:24: unknown key "users.dissabled"`},
		"unknown quota":        {"memory_mib = 4096", "memory = 4096", `unknown key "projects.quota.memory"`},
		"broken TOML":          {`name = "bob"`, `name = "bob`, "users.toml:19:"},
		"wrong type":           {`instances = 2`, `instances = "two"`, "users.toml:33"},
		"user twice":           {`name = "bob"`, `name = "root"`, `users.toml:18: user "root" is there twice`},
		"bad name":             {`name = "bob"`, `name = "Bob B"`, `users.toml:18: user name "Bob B"`},
		"unknown role":         {`role = "admin"`, `role = "king"`, `users.toml:4: role "king" of user "root"`},
		"role of a project":    {`role = "admin"`, `role = "member"`, `named by projects`},
		"project twice":        {`name = "lab"`, `name = "shop"`, `users.toml:36: project "shop" is there twice`},
		"unknown member":       {`readers = ["bob"]`, `readers = ["rob"]`, `users.toml:26: project "shop" names user "rob"`},
		"named twice":          {`readers = ["bob"]`, `readers = ["alice@example.org"]`, `names user "alice@example.org" twice`},
		"negative quota":       {`instances = 2`, `instances = -2`, "instances is -2"},
		"key for no project":   {`project = "shop"`, `project = "shops"`, `users.toml:9: key "ci" of user "alice@example.org" is for project "shops"`},
		"short hash of a key":  {hash, hash[1:], "not 64 hexadecimal digits"},
		"no hash":              {cheap, "$2b$10$", "make one with: grapevine user hash-password"},
		"hash of another kind": {cheap, strings.Replace(cheap, "argon2id", "argon2i", 1), "not an argon2id hash"},
		"hash that costs much": {cheap, strings.Replace(cheap, "m=8", "m=8000000", 1), "costs m=8000000,t=1,p=1; at most"},
		"life too long":        {`token_life = "30m"`, `token_life = "48h"`, "token_life is 48h0m0s; it must be 1m0s to 24h0m0s"},
		"no rate":              {`requests_per_second = 7`, `requests_per_second = 0`, "requests_per_second is 0"},
	} {
		if !strings.Contains(file, tt.old) {
			t.Fatalf("%s: the file has no %q", name, tt.old)
		}
		_, err := Read("users.toml", []byte(strings.Replace(file, tt.old, tt.with, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if _, err := Read("users.toml", make([]byte, MaxFileBytes+1)); err == nil {
		t.Error("a file past the bound is read")
	}
}

func TestHashPasswordIsReadBack(t *testing.T) {
	text, err := HashPassword("correct horse")
	if err != nil {
		t.Fatal(err)
	}
	p, err := parsePHC(text)
	if err != nil || !p.matches("correct horse") || p.matches("correct horses") || p.cost() != newPHC2().cost() {
		t.Errorf("%s: %v", text, err)
	}
	again, _ := HashPassword("correct horse")
	if again == text {
		t.Error("two hashes have one salt")
	}
	for _, bad := range []string{"short", strings.Repeat("x", 257), "two\nlines of", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
		if _, err := HashPassword(bad); err == nil || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func newPHC2() *phc { p := newPHC(); return &p }

func TestQuotaTellsWhatIsUsedAndAsked(t *testing.T) {
	two, none := int64(2), int64(0)
	q := Quota{Instances: &two, DiskGiB: &none}
	one := Taken{Instances: 1, Resources: fleet.Resources{VCPUs: 8, MemoryMiB: 512}}
	if got := q.Fits("shop", Taken{Instances: 1}, one); got != nil {
		t.Errorf("what fits is refused: %v", got)
	}
	want := []fleet.Refusal{{
		Code: fleet.RefuseQuota, Resource: "instances", Need: 1, Free: 0, Used: 2, Limit: 2,
		Detail: `project "shop" has 2 of at most 2 instances, and 1 more are asked for: 1 too many`,
	}}
	if diff := cmp.Diff(want, q.Fits("shop", Taken{Instances: 2}, one)); diff != "" {
		t.Error(diff)
	}
	if got := q.Fits("shop", Taken{Resources: fleet.Resources{DiskGiB: 5}}, Taken{Resources: fleet.Resources{DiskGiB: 1}}); len(got) != 1 || got[0].Free != 0 || got[0].Used != 5 {
		t.Errorf("past the limit already: %v", got)
	}
	if got := q.Fits("shop", Taken{Resources: fleet.Resources{DiskGiB: 5}}, one); got != nil {
		t.Errorf("what is not asked for is refused: %v", got)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(good, cheap+"c3Vtc3Vtc3Vtc3Vtc3Vt", strings.Repeat("ab", 32))))
	f.Fuzz(func(t *testing.T, text []byte) {
		b, err := Read("users.toml", text)
		if err != nil {
			return
		}
		for _, u := range b.Users() {
			for _, p := range b.ProjectsOf(u.Name) {
				if role := b.RoleIn(u.Name, p); role == "" && !u.Disabled {
					t.Errorf("user %q has no role in project %q, which names them", u.Name, p)
				}
			}
		}
	})
}
