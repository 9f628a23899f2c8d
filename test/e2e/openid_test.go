package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"grapevine/fleet"
	"grapevine/people/openid"
	"grapevine/test/built"
)

// provider is an OpenID provider that others have written.
type provider struct{ issuer string }

// openIDProvider starts one. What it takes is fetched when the machine is set up,
// and not here.
func (w *world) openIDProvider() *provider {
	w.t.Helper()
	folder, err := filepath.Abs(filepath.Join("testdata", "openid"))
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider")); err != nil {
		w.t.Fatal("the OpenID provider of this test is not there; run scripts/setup-test-host, which fetches it with npm")
	}
	cmd := exec.Command("node", "provider.mjs")
	cmd.Dir = folder
	log := w.path("provider.log")
	daemon := built.Start(w.t, cmd, "the OpenID provider", log)
	p := &provider{}
	w.until("the OpenID provider says what it is called", func() error {
		said, err := os.ReadFile(log)
		if found := regexp.MustCompile(`(?m)^issuer (\S+)$`).FindSubmatch(said); found != nil {
			p.issuer = string(found[1])
			return nil
		}
		select {
		case <-daemon.Ended:
			return fatalError{errors.New("it has ended")}
		default:
			return errors.Join(err, errors.New("not yet"))
		}
	})
	return p
}

// browse does what a person does in a browser that was opened at an address: it logs
// in by this name, consents, and follows where it is sent. It returns the last page.
func browse(ctx context.Context, address, name string) (string, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	browser := &http.Client{Jar: jar}
	send := func(method, to string, form url.Values) (at, page string, err error) {
		ask, err := http.NewRequestWithContext(ctx, method, to, strings.NewReader(form.Encode()))
		if err != nil {
			return "", "", err
		}
		ask.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := browser.Do(ask)
		if err != nil {
			return "", "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return answer.Request.URL.String(), string(body), err
	}
	at, page, err := send(http.MethodGet, address, nil)
	for _, prompt := range []string{"login", "consent"} {
		if err != nil {
			return "", err
		}
		if !strings.Contains(page, `name="prompt" value="`+prompt+`"`) {
			return "", errors.New("no page for " + prompt + " but: " + page)
		}
		at, page, err = send(http.MethodPost, at, url.Values{"prompt": {prompt}, "login": {name}, "password": {"any"}})
	}
	return page, err
}

// loginAs runs grapevine login --oidc with this name given in the browser.
func (w *world) loginAs(at *node, name string) (token, told string, err error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), w.patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "login", "--oidc", "--no-browser")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.dir, "GRAPEVINE_ADDR=" + at.addr()}
	var stdout bytes.Buffer
	cmd.Stdout = &stdout
	stderr, err := cmd.StderrPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	var problem error
	var page, all string
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		all += lines.Text() + "\n"
		if _, address, is := strings.Cut(lines.Text(), "log in at "); is {
			if page, problem = browse(ctx, address, name); problem == nil && !strings.Contains(page, "grapevine has its answer") {
				problem = errors.New("the browser ends at: " + page)
			}
		}
		if problem != nil {
			cancel()
		}
	}
	err = cmd.Wait()
	return strings.TrimSpace(stdout.String()), all, errors.Join(problem, err)
}

// With a provider that is not ours: a person of a group that the users file names logs
// in by a browser, and what they get is good at a registry and at an agent. Somebody of
// no such group gets nothing, and an ID token for another program is refused.
func TestPeopleOfAnotherOnesOpenIDProviderLogIn(t *testing.T) {
	w := newWorld(t)
	p := w.openIDProvider()
	users := w.path("users.toml")
	if err := os.WriteFile(users, []byte("[[projects]]\nname = \"shop\"\nmember_groups = [\"devs\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	a := w.agent("sim-1", 1024, "")
	r := w.newNode("registry", "registry-1", "users_file = \""+users+"\"\n[oidc]\nissuer = \""+p.issuer+"\"\nclient_id = \"grapevine\"\nscopes = [\"groups\"]\n")
	r.launch() // by an operator's certificate nobody is known on loopback any more
	w.until("the registry is ready", r.ready)

	token, told, err := w.loginAs(r, "alice")
	if err != nil || token == "" || !strings.Contains(told, "logged in as member oidc:alice") {
		t.Fatalf("alice: %v\n%s", err, told)
	}
	by := func(at *node, args ...string) (stdout, stderr string, code int) {
		return w.run([]string{"GRAPEVINE_ADDR=" + at.addr(), "GRAPEVINE_CACERT=" + filepath.Join(w.path("operator"), "ca.pem"), "GRAPEVINE_TOKEN=" + token}, args...)
	}
	stdout, stderr, code := by(r, "project", "list", "-o", "json")
	w.must(stdout, stderr, code)
	if list := decode[fleet.List[fleet.Project]](t, stdout); len(list.Items) != 1 || list.Items[0].Name != "shop" {
		t.Errorf("alice's projects: %s", stdout)
	}
	for _, at := range []*node{r, a} {
		stdout, stderr, code := by(at, "instance", "list", "-o", "json")
		w.must(stdout, stderr, code)
		if list := decode[fleet.List[fleet.Instance]](t, stdout); list.Coverage != (fleet.Coverage{Heard: 1, Known: 1}) {
			t.Errorf("at %s: %s", at.name, stdout)
		}
		if _, stderr, code := by(at, "mesh", "members"); code == 0 || !strings.Contains(stderr, "member") {
			t.Errorf("at %s a member of a project may look at the mesh: %s", at.name, stderr)
		}
	}

	if token, told, err := w.loginAs(r, "bob"); err == nil || token != "" || !strings.Contains(told, "is named in the users file") {
		t.Errorf("bob, of no group: %q, %v\n%s", token, err, told)
	}
	w.refusedOfAnother(p, r)
}

// refusedOfAnother gives the registry an ID token of alice that is for another program.
func (w *world) refusedOfAnother(p *provider, r *node) {
	w.t.Helper()
	known, err := openid.New(openid.Config{Issuer: p.issuer, ClientID: "wiki", UserClaim: "sub", GroupsClaim: "groups"})
	if err != nil {
		w.t.Fatal(err)
	}
	login := &openid.Login{Provider: known, Scopes: []string{"groups"}}
	ctx, cancel := context.WithTimeout(w.t.Context(), w.patience)
	defer cancel()
	var browsing sync.WaitGroup
	var lost error
	foreign, err := login.ByBrowser(ctx, func(address string) {
		browsing.Go(func() {
			if _, lost = browse(ctx, address, "alice"); lost != nil {
				cancel()
			}
		})
	})
	browsing.Wait()
	if err := errors.Join(lost, err); err != nil {
		w.t.Fatal(err)
	}
	file := w.path("wiki.jwt")
	if err := os.WriteFile(file, []byte(foreign), 0o600); err != nil {
		w.t.Fatal(err)
	}
	stdout, stderr, code := w.run([]string{"GRAPEVINE_ADDR=" + r.addr()}, "login", "--id-token-file", file)
	if code == 0 || stdout != "" || !strings.Contains(stderr, "it is for another client than grapevine") {
		w.t.Errorf("an ID token for another program: %d %q %s", code, stdout, stderr)
	}
}
