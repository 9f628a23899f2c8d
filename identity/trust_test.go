package identity

import (
	"bytes"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
)

// list signs a list of roots, the first of them first.
func list(t *testing.T, number int64, by []*CA, roots ...*CA) []byte {
	t.Helper()
	trust := Trust{Fleet: roots[0].fleet, Number: number}
	for _, ca := range roots {
		trust.Roots = append(trust.Roots, ca.cert)
	}
	text, err := SignTrust(trust, by)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestRootComesByTheWordOfTheOldOneAndTheOldOneDoesNotComeBack(t *testing.T) {
	old, next := newCA(t, time.Now()), newCA(t, time.Now())
	both := []*CA{old, next}
	server, client := node(t, old, Agent, alpha), node(t, old, Registry, beta)
	listening, dialling := server.ServerTLS(), client.ClientTLS(alpha)
	begun, turned, finished := list(t, 1, both, old, next), list(t, 2, both, next, old), list(t, 3, both, next)
	follow := func(id *Identity, text []byte, want bool) {
		t.Helper()
		if got, err := id.Follow(Files{}, text); err != nil || got != want {
			t.Fatalf("followed: %v, %v; want %v", got, err, want)
		}
	}
	meet := func(when string, want bool) {
		t.Helper()
		if got := handshake(t, listening, dialling); (got.cerr == nil && got.serr == nil) != want {
			t.Errorf("%s: client %v, server %v", when, got.cerr, got.serr)
		}
	}
	renew := func(id *Identity, ca *CA, life time.Duration) error {
		t.Helper()
		pair, err := ca.Issue(Subject{Role: id.Subject().Role, ID: id.Subject().ID}, life, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return id.Renew(Files{}, pair, time.Now())
	}
	follow(server, begun, true)
	follow(server, begun, false)
	if server.Outdated() {
		t.Error("nobody wants another certificate before the root is turned to")
	}
	meet("one trusts both", true)
	follow(server, turned, true)
	if !server.Outdated() || !bytes.Equal(server.Root().Raw, old.cert.Raw) {
		t.Error("its certificate is not the one wanted")
	}
	follow(server, begun, false) // what was said before is not gone back to
	if err := renew(server, old, 2*year); err != nil {
		t.Errorf("a longer one of the old root: %v", err)
	}
	if err := renew(server, next, time.Hour); err != nil || server.Outdated() {
		t.Fatalf("a shorter one of the new root: %v", err)
	}
	if err := renew(server, old, 3*year); !errors.Is(err, errOtherRoot) {
		t.Errorf("it goes back to the old root: %v", err)
	}
	meet("a client that has not heard of the new root", false)
	if !client.MetStranger() || client.MetStranger() {
		t.Error("it did not notice that it met a stranger, once")
	}
	follow(client, turned, true) // it missed the first
	meet("it has heard", true)
	follow(server, finished, true)
	meet("its certificate is of the old root, which was dropped", false)
	follow(client, finished, true) // knows itself still
	if len(client.Roots()) != 2 || !client.Outdated() {
		t.Errorf("it trusts %d roots", len(client.Roots()))
	}
	if err := client.Replace(client.RootsPEM(), issue(t, next, client.Subject(), time.Now()), time.Now()); err != nil {
		t.Fatal(err)
	}
	if len(client.Roots()) != 1 {
		t.Errorf("enrolled again it trusts %d roots", len(client.Roots()))
	}
	meet("it was enrolled again", true)
	for name, text := range map[string][]byte{
		"one that was said before": turned, "one of the old root alone": list(t, 4, both[:1], old), "its own, by somebody else": list(t, 4, []*CA{newCA(t, time.Now())}, next),
	} {
		if got, err := server.Follow(Files{}, text); got || err != nil && !errors.Is(err, ErrNotTrusted) {
			t.Errorf("%s: followed %v, %v", name, got, err)
		}
	}
}

func TestListOfRootsIsRefusedThatDoesNotProveItself(t *testing.T) {
	old, next := newCA(t, time.Now()), newCA(t, time.Now())
	own := node(t, old, Agent, alpha)
	good := list(t, 1, []*CA{old}, old, next)
	forged, _, err := readTrust(good)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(good, []byte("A"), []byte("B"), 3)
	other, err := NewCA("other", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	of := func(number int64, fleetName string, by *CA, roots ...*x509.Certificate) error {
		_, err := SignTrust(Trust{Fleet: fleetName, Number: number, Roots: roots}, []*CA{by})
		return err
	}
	for name, err := range map[string]error{
		"no number": of(0, old.fleet, old, old.cert), "no root": of(1, old.fleet, old), "a root of another fleet": of(1, old.fleet, old, old.cert, other.cert),
		"a certificate that is none of a CA": of(1, old.fleet, old, own.leaf()),
	} {
		if err == nil {
			t.Errorf("%s is signed", name)
		}
	}
	for name, text := range map[string][]byte{
		"nothing": nil, "changed": changed, "another fleet's": list(t, 1, []*CA{other}, other), "signed by none that is trusted": list(t, 1, []*CA{next}, next, old),
		"too long": bytes.Replace(good, []byte("-----END"), []byte(strings.Repeat("AAAA", fleet.MaxTrustBytes)+"\n-----END"), 1),
	} {
		if got, err := own.Follow(Files{}, text); got || err == nil {
			t.Errorf("%s: followed %v, %v", name, got, err)
		}
	}
	if own.TrustNow() != nil || forged.Number != 1 {
		t.Error("something was followed")
	}
}

// Of two lists of one number, made at once, all nodes end with the same.
func TestListsMadeAtOnceAreSettledAlike(t *testing.T) {
	old := newCA(t, time.Now())
	a, b := list(t, 1, []*CA{old}, old, newCA(t, time.Now())), list(t, 1, []*CA{old}, old, newCA(t, time.Now()))
	one, two := node(t, old, Agent, alpha), node(t, old, Agent, beta)
	for _, text := range [][]byte{a, b} {
		if _, err := one.Follow(Files{}, text); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range [][]byte{b, a} {
		if _, err := two.Follow(Files{}, text); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.RootsPEM(), two.RootsPEM()) {
		t.Error("they follow different lists")
	}
}

func TestListOfRootsOutlivesARestartInTheFileOfRoots(t *testing.T) {
	old, next := newCA(t, time.Now()), newCA(t, time.Now())
	dir := t.TempDir()
	files := Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "c.pem"), Key: filepath.Join(dir, "k.pem")}
	if err := Install(files, old.CertPEM(), issue(t, old, Subject{Role: Agent, ID: alpha}, time.Now()), Owner{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(files.CA, 0o640); err != nil {
		t.Fatal(err)
	}
	load := func() *Identity {
		t.Helper()
		id, err := Load(files, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	both := []*CA{old, next}
	id := load()
	if ok, err := id.Follow(files, list(t, 2, both, next, old)); err != nil || !ok {
		t.Fatal(ok, err)
	}
	again := load()
	if !bytes.Equal(again.RootsPEM(), id.RootsPEM()) || !again.Outdated() {
		t.Errorf("after a restart it trusts\n%s\nand trusted\n%s", again.RootsPEM(), id.RootsPEM())
	}
	if ok, err := again.Follow(files, list(t, 1, both, old, next)); err != nil || ok {
		t.Errorf("after a restart an older list is followed: %v", err)
	}
	if info, err := os.Stat(files.CA); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode is not what it was: %v, %v", info, err)
	}
	// Left behind, it comes up, and knows that it is.
	if ok, err := again.Follow(files, list(t, 3, both, next)); err != nil || !ok {
		t.Fatal(ok, err)
	}
	if left := load(); !left.Outdated() || len(left.Roots()) != 2 {
		t.Errorf("left behind it trusts %d roots", len(left.Roots()))
	}
	// What cannot be written is not followed.
	if err := os.Remove(files.CA); err != nil {
		t.Fatal(err)
	}
	if ok, err := again.Follow(files, list(t, 4, both, next, old)); err == nil || ok {
		t.Error("it follows what it cannot write")
	}
}

func TestIntermediateGoesOnUnderTheNewRootWithItsKey(t *testing.T) {
	old, next := newCA(t, time.Now()), newCA(t, time.Now())
	below := intermediate(t, old)
	own := node(t, old, Registry, beta)
	again, err := next.Recertify(below.cert, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	text, err := SignTrust(Trust{Fleet: old.fleet, Number: 1, Roots: []*x509.Certificate{next.cert, old.cert}, Issuers: []*x509.Certificate{again}}, []*CA{old, next})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Follow(Files{}, text); err != nil {
		t.Fatal(err)
	}
	issuing := own.Issuing(below)
	if !own.RootOf(below).Equal(old.cert) || !own.RootOf(issuing).Equal(next.cert) {
		t.Error("the intermediate is not of the root that it should be of")
	}
	if _, err := New(next.CertPEM(), issue(t, issuing, Subject{Role: Agent, ID: alpha}, time.Now()), time.Now()); err != nil {
		t.Errorf("what it issues is not good under the new root alone: %v", err)
	}
	if _, err := SignTrust(Trust{Fleet: old.fleet, Number: 2, Roots: []*x509.Certificate{next.cert}, Issuers: []*x509.Certificate{below.cert}}, []*CA{next}); err == nil {
		t.Error("a list carries an intermediate that its first root does not vouch for")
	}
	if _, err := next.Recertify(old.cert, time.Now()); err == nil {
		t.Error("a root is made an intermediate")
	}
	if _, err := below.Recertify(below.cert, time.Now()); err == nil {
		t.Error("an intermediate vouches for another")
	}
}
