package mesh

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
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
	// settleJoin is how long a member that has joined through one address lets
	// gossip tell it of the others before it joins through the next.
	settleJoin = 2 * time.Second
)

// keepJoined tries the configured addresses until each was joined once or is
// that of a member alive, and all of them again whenever this member is alone.
//
// A join costs the fleet more than anything that goes on in it: both ends send
// each other all members, and everybody hears of the newcomer. So each member
// takes the addresses in an order of its own, joins through one that answers,
// and then through another only where that is still unknown: a fleet that
// starts all at once joins once each, spread over the addresses.
func (s *serfMembers) keepJoined(ctx context.Context) {
	pending, wait := shuffled(s.cfg.Join), minRejoin
	for len(s.cfg.Join) > 0 {
		left, joined, err := s.joinOne(ctx, pending)
		if ctx.Err() != nil || s.departed.Load() {
			return
		}
		pending = left
		switch {
		case s.alone():
			pending = shuffled(s.cfg.Join)
			if err != nil { // else only this member itself answers
				s.logs.limited("no member of the fleet joined yet; trying on", "error", err)
			}
			wait = min(2*wait, maxRejoin)
		case joined && len(pending) > 0:
			wait = settleJoin
		case len(pending) > 0:
			s.cfg.Log.Debug("some members to join do not answer", "error", err)
			wait = min(2*wait, maxRejoin)
		default:
			wait = rejoinCheck
		}
		if !pause.For(ctx, jitter(wait)) {
			return
		}
	}
}

func shuffled(entries []string) []string {
	out := slices.Clone(entries)
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] }) // no secret
	return out
}

// joinOne joins through the first entry that answers, but for those that are
// members already. It returns the entries that are left to join, and why some
// did not answer.
func (s *serfMembers) joinOne(ctx context.Context, entries []string) (left []string, joined bool, err error) {
	var errs []error
	for i, entry := range entries {
		if s.known(entry) {
			continue
		}
		if joined {
			return append(left, entries[i:]...), true, errors.Join(errs...)
		}
		if err := s.joinEntry(ctx, entry); err != nil && ctx.Err() == nil {
			left, errs = append(left, entry), append(errs, err)
			continue
		}
		joined = true
	}
	return left, joined, errors.Join(errs...)
}

// known reports whether an entry is the address of a member alive, this one
// included. Names and SRV records are not looked up for it: they are joined
// once.
func (s *serfMembers) known(entry string) bool {
	addr := withPort(entry)
	return addr == s.advertise || slices.ContainsFunc(s.Members(), func(m fleet.Member) bool {
		return m.Gossip == addr && m.Status == fleet.MemberAlive
	})
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
