package enrol

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
)

// member is a node that renews its certificate at an office.
type member struct {
	RenewerConfig
	log   bytes.Buffer
	asked int
	fails error
}

// enrolled returns a member whose certificate the office issued, in files of a
// folder.
func enrolled(t *testing.T, o *office) *member {
	t.Helper()
	join, key := ask(t, o.token(t, fleet.MakeJoinToken{}))
	joined, err := o.Join(t.Context(), join)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := identity.Files{CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "agent.pem"), Key: filepath.Join(dir, "agent-key.pem")}
	if err := identity.Install(files, []byte(joined.CA), identity.Pair{CertPEM: []byte(joined.Certificate), KeyPEM: key}, identity.Owner{}); err != nil {
		t.Fatal(err)
	}
	own, err := identity.Load(files, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	m := &member{}
	m.RenewerConfig = RenewerConfig{
		Credentials: identity.Credentials{Identity: own, Files: files}, Desk: New(Config{}),
		Members: func() []fleet.Member {
			return []fleet.Member{{ID: fleet.UUID{8}, Status: fleet.MemberAlive}, {ID: fleet.UUID{9}, Status: fleet.MemberAlive, Issues: true}}
		},
		Ask: func(ctx context.Context, at *fleet.Member, ask fleet.RenewCertificate) (fleet.Joined, error) {
			m.asked++
			if m.fails != nil || at.ID != (fleet.UUID{9}) {
				return fleet.Joined{}, errors.Join(m.fails, errors.New(at.ID.String()+" was asked"))
			}
			return o.RenewCertificate(ctx, ask, fleet.RoleAgent, own.Subject().ID, own.Enrolled())
		},
		Log: slog.New(slog.NewTextHandler(&m.log, nil)),
	}
	return m
}

// run lives a member until the end of the test.
func (m *member) run(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = NewRenewer(m.RenewerConfig).Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
}

// pass lets time go by in the bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

const day = 24 * time.Hour

func TestCertificateRenewsItselfAfterTwoThirdsOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		m := enrolled(t, o)
		if err := os.Chmod(m.Files.Key, 0o640); err != nil {
			t.Fatal(err)
		}
		first, enrolledAt := m.Identity.NotAfter(), m.Identity.Enrolled()
		before, err := os.ReadFile(m.Files.Key)
		if err != nil {
			t.Fatal(err)
		}
		m.run(t)
		pass(55 * day)
		if m.asked != 0 {
			t.Fatalf("asked %d times in the first 55 of 90 days", m.asked)
		}
		pass(5*day + time.Hour)
		if m.asked != 1 || !m.Identity.NotAfter().After(first.Add(50*day)) {
			t.Fatalf("asked %d times, and the certificate ends on %s", m.asked, m.Identity.NotAfter())
		}
		kept, err := identity.Load(m.Files, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if kept.Fingerprint() != m.Identity.Fingerprint() || !kept.Enrolled().Equal(enrolledAt) || !kept.Enrolled().Equal(m.Identity.Enrolled()) {
			t.Errorf("the files hold another certificate, or one that says another enrolment: %s", kept.Enrolled())
		}
		after, err := os.ReadFile(m.Files.Key)
		if err != nil || bytes.Equal(before, after) {
			t.Errorf("the key is the old one: %v", err)
		}
		info, err := os.Stat(m.Files.Key)
		if err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("the key's mode is %v, it was 0640", info.Mode())
		}
		pass(240 * day) // the CA itself lives for a year
		if left := time.Until(m.Identity.NotAfter()); left < 29*day || m.asked < 5 || m.asked > 8 {
			t.Errorf("a year later it ends in %s, after %d renewals", left, m.asked)
		}
	})
}

func TestRenewalThatFailsIsTriedAgainAndSaidOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := enrolled(t, open(t))
		m.fails = errors.New("out of order")
		m.run(t)
		pass(70 * day)
		said := strings.Count(m.log.String(), "could not be renewed")
		if m.asked < 200 || said < 9 || said > 15 || !strings.Contains(m.log.String(), "out of order") {
			t.Fatalf("%d trials, said %d times in at least ten days:\n%.2000s", m.asked, said, m.log.String())
		}
		m.fails = nil
		pass(2 * time.Hour)
		if left := time.Until(m.Identity.NotAfter()); left < 89*day {
			t.Errorf("once somebody issues again, it ends in %s", left)
		}
	})
}

func TestNodeThatCannotRenewSaysWhatToDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alone := enrolled(t, open(t))
		alone.Members = func() []fleet.Member { return nil }
		alone.run(t)
		gone := enrolled(t, open(t))
		gone.Files.Cert = filepath.Join(t.TempDir(), "none", "agent.pem")
		gone.run(t)
		pass(62 * day)
		if !strings.Contains(alone.log.String(), "grapevine tls intermediate") {
			t.Errorf("nobody issues: %.1000s", alone.log.String())
		}
		if gone.asked != 0 || !strings.Contains(gone.log.String(), "let this node write its certificate") {
			t.Errorf("files that cannot be written: asked %d times: %.1000s", gone.asked, gone.log.String())
		}
	})
}

func TestHolderOfACARenewsItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		m := enrolled(t, o)
		m.Desk = o.Desk
		m.run(t)
		pass(62 * day)
		if left := time.Until(m.Identity.NotAfter()); m.asked != 0 || left < 80*day {
			t.Errorf("it asked others %d times, and ends in %s", m.asked, left)
		}
	})
}

func TestCertificateThatEndsNoLaterIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := open(t)
		m := enrolled(t, o)
		o.cfg.Life = time.Hour
		o.Desk = New(o.cfg)
		before := m.Identity.Fingerprint()
		m.run(t)
		pass(62 * day)
		if m.asked == 0 || m.Identity.Fingerprint() != before || !strings.Contains(m.log.String(), identity.ErrNotLonger.Error()) {
			t.Errorf("asked %d times: %.1000s", m.asked, m.log.String())
		}
	})
}
