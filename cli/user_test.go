package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"grapevine/people"
)

// typed runs the command line with something on its standard input.
func typed(t *testing.T, env map[string]string, in string, args ...string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	a := &app{
		in: strings.NewReader(in), out: &out, errOut: &errOut, now: func() time.Time { return today },
		lookup: func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		format: asTable, defaultAddr: "http://127.0.0.1:1", localSocket: t.TempDir() + "/agent.sock",
	}
	code := a.main(t.Context(), args)
	return result{code, out.String(), errOut.String()}
}

func TestHashedPasswordAndNewKeyGoIntoTheUsersFile(t *testing.T) {
	hash := typed(t, nil, "correct horse\n", "user", "hash-password")
	hash.wants(t, exitOK, "$argon2id$v=19$m=19456,t=2,p=1$", "")
	made := typed(t, nil, "", "user", "new-key")
	made.wants(t, exitOK, "gvk-", "")
	words := strings.Fields(made.out)
	key, sum := words[len(words)-2], words[len(words)-1]
	book, err := people.Read("users.toml", []byte("[[users]]\nname = \"a\"\npassword = \""+strings.TrimSpace(hash.out)+"\"\n[[users.keys]]\nname = \"ci\"\nsha256 = \""+sum+"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := book.ByPassword("a", "correct horse"); err != nil {
		t.Error(err)
	}
	if _, err := book.ByKey(key); err != nil {
		t.Errorf("key %q: %v", key, err)
	}
	typed(t, nil, "short\r\n", "user", "hash-password").wants(t, exitFailed, "", "is 5 bytes long; use 8 to 256")
}
