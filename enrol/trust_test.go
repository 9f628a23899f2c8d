package enrol

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// roots is a list of the roots of these CAs, signed by others.
func roots(t *testing.T, number int64, by []*identity.CA, of ...*identity.CA) string {
	t.Helper()
	list := identity.Trust{Fleet: "home", Number: number}
	for _, ca := range of {
		list.Roots = append(list.Roots, ca.Certificate())
	}
	text, err := identity.SignTrust(list, by)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newRoot(t *testing.T) *identity.CA {
	t.Helper()
	root, err := identity.NewCA("home", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// following is a node that follows what it hears, or what a member says.
type following struct {
	own       *identity.Identity
	heard     []string
	said      string
	asked     int
	reconnect int
	log       bytes.Buffer
}

func follow(t *testing.T, o *office) *following {
	t.Helper()
	m := enrolled(t, o)
	f := &following{own: m.Identity}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	follower := NewFollower(FollowerConfig{
		Credentials: m.Credentials, Heard: func() []string { return f.heard }, Members: m.Members,
		Ask: func(context.Context, *fleet.Member) (fleet.Trust, error) {
			f.asked++
			return fleet.Trust{CA: f.said}, nil
		},
		Followed: func() { f.reconnect++ }, Log: slog.New(slog.NewTextHandler(&f.log, nil)),
	})
	go func() { defer close(ended); _ = follower.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return f
}

func (f *following) at(t *testing.T, number int64, trusted int) {
	t.Helper()
	pass(2 * lookForTrust)
	got := int64(0)
	if list := f.own.TrustNow(); list != nil {
		got = list.Number
	}
	if got != number || len(f.own.Roots()) != trusted {
		t.Errorf("it follows list %d and trusts %d roots, want list %d and %d roots; it logged %s", got, len(f.own.Roots()), number, trusted, &f.log)
	}
}

func TestNodeFollowsTheNewestListThatProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, next, stranger := open(t), newRoot(t), newRoot(t)
		f := follow(t, o)
		both := []*identity.CA{o.root, next}
		forged := roots(t, 9, []*identity.CA{stranger}, stranger)
		f.heard = []string{forged, "no list"}
		f.at(t, 0, 1)
		if n := strings.Count(f.log.String(), "is not followed"); n != 2 {
			t.Errorf("it complained %d times, want once of each; it logged %s", n, &f.log)
		}
		f.heard = []string{roots(t, 2, both, next, o.root), forged, roots(t, 1, both, o.root, next)}
		f.at(t, 2, 2)
		if !f.own.Outdated() || f.reconnect != 1 {
			t.Errorf("its certificate is of the root wanted, or it connected anew %d times", f.reconnect)
		}
		f.heard = append(f.heard, roots(t, 3, both, next))
		f.at(t, 3, 2) // it goes on knowing itself
		if !strings.Contains(f.log.String(), "join the fleet again") {
			t.Errorf("it does not say that it was left behind: %s", &f.log)
		}
	})
}

// A node that was off hears of a new root from members that it does not trust yet;
// it asks only after it met one, and one that says nothing ever more seldom.
func TestNodeThatMeetsStrangersAsksWhatTheyTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, next := open(t), newRoot(t)
		f := follow(t, o)
		pass(time.Hour)
		if f.asked != 0 {
			t.Fatalf("it asked %d times and had met nobody", f.asked)
		}
		for range 600 {
			f.meet(t, next)
			pass(time.Second)
		}
		if f.asked == 0 || f.asked > 40 {
			t.Errorf("in ten minutes it asked %d times", f.asked)
		}
		f.said = roots(t, 2, []*identity.CA{o.root}, next, o.root)
		f.meet(t, next)
		pass(2 * lastAsk)
		f.at(t, 2, 2)
	})
}

// meet has the node call another whose certificate is of this root.
func (f *following) meet(t *testing.T, root *identity.CA) {
	t.Helper()
	pair, err := root.Issue(identity.Subject{Role: identity.Agent, ID: fleet.UUID{9}, Name: "met"}, time.Hour, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, err := tls.X509KeyPair(pair.CertPEM, pair.KeyPEM)
	if err != nil {
		t.Fatal(err)
	}
	here, there := net.Pipe()
	defer here.Close()
	defer there.Close()
	go func() {
		_ = tls.Server(there, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}).HandshakeContext(t.Context())
	}()
	if err := tls.Client(here, f.own.ClientTLS(fleet.UUID{9})).HandshakeContext(t.Context()); err == nil {
		t.Fatal("it took a stranger for a member")
	}
}
