package esxi_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"grapevine/drivers"
	"grapevine/fleet"
)

// A certificate that was renewed is another one: whoever answers with it gets
// no password until its thumbprint is configured, and the error says which.
func TestRenewedCertificateMustBeConfigured(t *testing.T) {
	h := newHarness(t)
	c := h.config()
	d := open(t, c)
	_, err := d.List(t.Context())
	check(t, err)
	check(t, h.host.RenewCertificate())
	_, err = d.List(t.Context()) // may end with the old connection
	if !errors.Is(err, drivers.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	_, err = d.List(t.Context())
	if !errors.Is(err, drivers.ErrUnavailable) || !strings.Contains(err.Error(), h.host.Thumbprint()) || !strings.Contains(err.Error(), "set the key thumbprint") {
		t.Errorf("got %v, want an error with the new thumbprint, %s", err, h.host.Thumbprint())
	}
	c.Thumbprint = h.host.Thumbprint()
	if _, err := open(t, c).List(t.Context()); err != nil {
		t.Errorf("with the new thumbprint: %v", err)
	}
}

// A login that cannot be renewed, because the password was changed, is tried
// once, so that the account is not locked.
func TestChangedPasswordIsTriedOnce(t *testing.T) {
	h := newHarness(t)
	d := open(t, h.config())
	_, err := d.List(t.Context())
	check(t, err)
	h.host.SetPassword("another")
	if _, err := d.List(t.Context()); err != nil {
		t.Errorf("a login that stands is not asked for its password: %v", err)
	}
	h.host.ExpireAt(1)
	for try := range 3 {
		_, err := d.List(t.Context())
		if !errors.Is(err, drivers.ErrUnavailable) || !strings.Contains(err.Error(), "check user and password") {
			t.Errorf("got %v, want ErrUnavailable that tells of the password", err)
		}
		if try > 0 && !strings.Contains(err.Error(), "not tried again") {
			t.Errorf("try %d: the login was tried again: %v", try, err)
		}
	}
}

// Calls that find the login ended at once renew it once: a host refuses a
// login to whoever is logged in.
func TestLoginIsRenewedOnceForAll(t *testing.T) {
	h := newHarness(t)
	var log lockedBuffer
	c := h.config()
	c.Log = slog.New(slog.NewTextHandler(&log, nil))
	d := open(t, c)
	list, err := d.List(t.Context())
	check(t, err)
	const rounds = 5
	for range rounds {
		check(t, h.host.ExpireSessions())
		var calls sync.WaitGroup
		for range 8 {
			calls.Go(func() {
				if _, err := d.Inspect(t.Context(), list[0].ID); err != nil {
					t.Error(err)
				}
				if _, err := d.Images(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	}
	if n := strings.Count(log.String(), "renewed the login"); n != rounds {
		t.Errorf("the login was renewed %d times, want %d", n, rounds)
	}
}

// lockedBuffer is a buffer for several writers.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A guest that was asked to stop is waited for through a lost login.
func TestGraceOutlivesTheLogin(t *testing.T) {
	l := newLab(t)
	stop := deed{ready: func(l *lab) {
		l.must(l.d.Build(t.Context(), l.spec))
		l.act(fleet.Start)
		l.must(l.h.host.Configure(l.spec.Mark.ID, "SET.guest.toolsRunningStatus", "guestToolsRunning"))
	}}
	l.begin(stop)
	l.h.host.CountRequests()
	l.must(l.d.Act(t.Context(), l.spec.Mark.ID, fleet.Stop, drivers.ActOptions{Grace: time.Minute}))
	requests := l.h.host.Requests()
	for n := range someOf(requests) {
		l.begin(stop)
		l.h.host.ExpireAt(n)
		if err := l.d.Act(t.Context(), l.spec.Mark.ID, fleet.Stop, drivers.ActOptions{Grace: time.Minute}); err != nil {
			t.Errorf("request %d of %d finds the login ended: %v", n, requests, err)
		}
	}
}
