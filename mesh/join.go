package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/internal/pause"
)

const (
	minRejoin = 500 * time.Millisecond
	maxRejoin = 30 * time.Second
	// rejoinCheck is how often a member that has joined looks whether it is
	// alone again.
	rejoinCheck = 10 * time.Second
)

// keepJoined tries every configured address until it was joined once, and all
// of them again whenever this member is alone.
func (s *serfMembers) keepJoined(ctx context.Context) {
	pending, wait := s.cfg.Join, minRejoin
	for len(s.cfg.Join) > 0 {
		var failed []string
		var errs []error
		for _, entry := range pending {
			if err := s.joinEntry(ctx, entry); err != nil && ctx.Err() == nil {
				failed = append(failed, entry)
				errs = append(errs, err)
			}
		}
		if ctx.Err() != nil || s.departed.Load() {
			return
		}
		pending = failed
		alone := s.alone()
		switch {
		case alone:
			pending = s.cfg.Join
			if len(errs) > 0 { // else only this member itself answers
				s.logs.limited("no member of the fleet joined yet; trying on", "error", errors.Join(errs...))
			}
		case len(failed) > 0:
			s.cfg.Log.Debug("some members to join do not answer", "error", errors.Join(errs...))
		default:
			wait = rejoinCheck / 2
		}
		wait = min(2*wait, maxRejoin)
		if len(failed) == 0 {
			wait = min(wait, rejoinCheck)
		}
		if !pause.For(ctx, jitter(wait)) {
			return
		}
	}
}

// alone reports whether no other member is alive.
func (s *serfMembers) alone() bool {
	for _, m := range s.Members() {
		if m.ID != s.cfg.ID && m.Status == fleet.MemberAlive {
			return false
		}
	}
	return true
}

// joinEntry joins through one configured entry: all that it resolves to, until
// one answers.
func (s *serfMembers) joinEntry(ctx context.Context, entry string) error {
	addrs, err := resolveJoin(ctx, entry)
	if err != nil {
		return err
	}
	var errs []error
	for _, addr := range addrs {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := s.Join(addr)
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Join implements membership.
func (s *serfMembers) Join(addr string) error {
	sf := s.running()
	if sf == nil || s.departed.Load() {
		return errLeaving
	}
	if _, err := sf.Join([]string{addr}, true); err != nil {
		return explainJoin(addr, err)
	}
	return nil
}

// explainJoin adds what a person can do about a join that failed. A member
// with another key or label closes the stream without a word.
func explainJoin(addr string, err error) error {
	text := strings.ToLower(err.Error())
	for _, sign := range []string{"eof", "reset by peer", "decrypt", "encrypted", "closed pipe"} {
		if strings.Contains(text, sign) {
			return fmt.Errorf("join %s: it answers, and no word can be exchanged: its gossip key or its fleet's label is another; make both equal: %w", addr, err)
		}
	}
	return fmt.Errorf("join %s: %w", addr, err)
}

// resolveJoin turns an entry into addresses with ports: host, host:port, an
// address, or an SRV name, which begins with an underscore.
func resolveJoin(ctx context.Context, entry string) ([]string, error) {
	if !strings.HasPrefix(entry, "_") {
		return []string{withPort(entry)}, nil
	}
	_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", entry)
	if err != nil {
		return nil, fmt.Errorf("join %s: look up SRV records: %w", entry, err)
	}
	addrs := make([]string, 0, len(records))
	for _, r := range records {
		addrs = append(addrs, net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port))))
	}
	return addrs, nil
}

// withPort adds the default gossip port where an entry has none.
func withPort(entry string) string {
	if _, _, err := net.SplitHostPort(entry); err == nil {
		return entry
	}
	return net.JoinHostPort(strings.Trim(entry, "[]"), strconv.Itoa(DefaultGossipPort))
}
