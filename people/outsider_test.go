package people

import (
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

const withGroups = `barred = ["oidc:mallory"]

[[users]]
name = "alice"
role = "admin"

[[projects]]
name = "shop"
member_groups = ["devs"]
reader_groups = ["auditors"]

[[projects]]
name = "lab"
member_groups = ["devs", "lab"]

[[groups]]
name = "ops"
role = "operator"
`

func TestGroupsOfAProviderGiveWhatTheFileSays(t *testing.T) {
	b := read(t, withGroups)
	for _, tt := range []struct {
		name    string
		groups  []string
		project string
		want    string
	}{
		{"bob", []string{"devs"}, "shop", "member in shop by devs"},
		{"bob", []string{"devs"}, "", "several projects; name one of them: lab, shop"},
		{"bob", []string{"lab"}, "", "member in lab by lab"},
		{"bob", []string{"auditors"}, "", "reader in shop by auditors"},
		{"bob", []string{"auditors", "devs"}, "shop", "member in shop by devs"},
		{"bob", []string{"auditors"}, "lab", "no such project; their own are: shop"},
		{"bob", []string{"devs", "ops"}, "", "operator in  by ops"},
		{"bob", []string{"ops"}, "shop", "operator in shop by ops"},
		{"bob", nil, "", "no group of oidc:bob is named"},
		{"bob", []string{"Devs", "dev", "root", "admin", ""}, "", "no group of oidc:bob is named"},
		{"mallory", []string{"ops"}, "", "oidc:mallory is barred"},
		// Whoever is called as a user of the file has nothing of what that user has.
		{"alice", nil, "", "no group of oidc:alice is named"},
		{"alice", []string{"lab"}, "", "member in lab by lab"},
	} {
		who, err := Outsider(tt.name, tt.groups)
		checkGrant(t, b, who, err, tt.project, tt.want)
	}
}

func TestOutsidersAreNeverUsersOfTheFile(t *testing.T) {
	if err := CheckUserName(OIDCPrefix + "alice"); err == nil {
		t.Error("a user of the file may be called as an outsider is")
	}
	for _, name := range []string{"", " alice", "al ice", "alice\n", "alice/..", ":", "oidc:alice", strings.Repeat("a", 121), "álice", "-x"} {
		if who, err := Outsider(name, nil); fleet.CodeOf(err) != fleet.CodeUnauthenticated {
			t.Errorf("%q is %+v, %v", name, who, err)
		}
	}
	for _, name := range []string{"alice", "Alice", "auth0|5f7c8ec7c33c6c004bbafe82", "a.b+c@example.org", strings.Repeat("a", 120)} {
		if who, err := Outsider(name, nil); err != nil || who.User != "oidc:"+name || fleet.CheckName("user name", who.User) != nil {
			t.Errorf("%q is %+v, %v", name, who, err)
		}
	}
	if _, err := Outsider("a", make([]string, MaxGroups+1)); err == nil {
		t.Error("any number of groups is looked at")
	}
}

// A token of an outsider says by which group it was given; one that says the one
// without the other is none that a registry issued.
func TestTokensKeepOutsidersAndUsersApart(t *testing.T) {
	now := time.Unix(1000, 0)
	whole := Token{ID: fleet.UUID{1}, Fleet: "one", User: "oidc:bob", Group: "devs", Project: "shop", Role: Member, IssuedMS: now.UnixMilli(), ExpiresMS: now.UnixMilli() + 1000}
	if got, err := DecodeToken(whole.Encode(), "one", now); err != nil || got != whole {
		t.Fatalf("got %+v, %v", got, err)
	}
	for name, change := range map[string]func(*Token){
		"an outsider without a group": func(t *Token) { t.Group = "" },
		"a user with a group":         func(t *Token) { t.User = "bob" },
		"a bad name":                  func(t *Token) { t.User = "oidc:b b" },
	} {
		bad := whole
		change(&bad)
		if _, err := DecodeToken(bad.Encode(), "one", now); fleet.CodeOf(err) != fleet.CodeUnauthenticated {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := read(t, withGroups)
	for name, tt := range map[string]struct {
		change func(*Token)
		good   bool
	}{
		"as it is":           {func(*Token) {}, true},
		"barred":             {func(t *Token) { t.User = "oidc:mallory" }, false},
		"of another group":   {func(t *Token) { t.Group = "sales" }, false},
		"of a reader":        {func(t *Token) { t.Group = "auditors" }, false},
		"of another project": {func(t *Token) { t.Project = "attic" }, false},
		"of an operator":     {func(t *Token) { t.Role, t.Project = Operator, "" }, false},
		"of operators":       {func(t *Token) { t.Group, t.Role, t.Project = "ops", Operator, "" }, true},
		"more than that":     {func(t *Token) { t.Group, t.Role, t.Project = "ops", Admin, "" }, false},
	} {
		token := whole
		tt.change(&token)
		if err := b.Still(&token); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestGroupsAreRefusedWithTheLine(t *testing.T) {
	for name, tt := range map[string]struct{ old, with, want string }{
		"role of a project": {`role = "operator"`, `role = "member"`, `users.toml:16: role "member" of group "ops"`},
		"group twice":       {`name = "ops"`, "name = \"ops\"\nrole = \"admin\"\n[[groups]]\nname = \"ops\"", `group "ops" is there twice`},
		"named twice":       {`reader_groups = ["auditors"]`, `reader_groups = ["devs"]`, `project "shop" names group "devs" twice`},
		"empty name":        {`"devs", "lab"`, `""`, `group is empty`},
		"a user is barred":  {`"oidc:mallory"`, `"alice"`, `barred names "alice"`},
	} {
		_, err := Read("users.toml", []byte(strings.Replace(withGroups, tt.old, tt.with, 1)))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}
