package serfrpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/serf/serf"
)

// streamQueue is how many events or lines wait for a slow client; more are
// dropped, and it is told how many.
const streamQueue = 512

// levels are those of log lines, in rising order.
var levels = []string{"TRACE", "DEBUG", "INFO", "WARN", "ERR"}

// lineStream is a monitor.
type lineStream struct {
	seq   uint64
	level int // index of the least level wanted
	lines chan string
	lost  int
}

// wants reports whether a line "[LEVEL] ..." passes the level; lines without
// one do.
func (s *lineStream) wants(line string) bool {
	_, rest, found := strings.Cut(line, "[")
	level, _, closed := strings.Cut(rest, "]")
	i := slices.Index(levels, level)
	return !found || !closed || i < 0 || i >= s.level
}

func (s *lineStream) offer(line string) {
	if !s.wants(line) {
		return
	}
	if s.lost > 0 {
		select {
		case s.lines <- fmt.Sprintf("[WARN] %d lines dropped: they came faster than they were read", s.lost):
			s.lost = 0
		default:
		}
	}
	select {
	case s.lines <- line:
	default:
		s.lost++
	}
}

func (c *client) offerLine(line string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.monitor != nil {
		c.monitor.offer(line)
	}
}

func startMonitor(_ context.Context, c *client, seq uint64) error {
	var m monitor
	if err := c.dec.Decode(&m); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	s := &lineStream{seq: seq, level: slices.Index(levels, strings.ToUpper(m.LogLevel)), lines: make(chan string, streamQueue)}
	if s.level < 0 {
		return c.send(seq, fmt.Errorf("Unknown log level: %s", m.LogLevel), nil) //nolint:staticcheck // the words of Serf's agent
	}
	c.mu.Lock()
	exists := c.monitor != nil
	c.mu.Unlock()
	if exists {
		return c.send(seq, errors.New("Monitor already exists"), nil) //nolint:staticcheck // the words of Serf's agent
	}
	if err := c.send(seq, nil, nil); err != nil {
		return err
	}
	c.server.recent(s.offer, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.monitor = s
	})
	pump(c, seq, s.lines, func(line string) (any, error) { return &logRecord{line}, nil })
	return nil
}

// pump sends what comes until the channel is closed or the connection ends.
func pump[T any](c *client, seq uint64, from <-chan T, body func(T) (any, error)) {
	c.streams.Go(func() {
		for {
			select {
			case <-c.done:
				return
			case v, open := <-from:
				if !open {
					return
				}
				record, err := body(v)
				if err == nil {
					err = c.send(seq, nil, record)
				}
				if err != nil {
					_ = c.conn.Close() // ends the reader, and with it the client
					return
				}
			}
		}
	})
}

// eventStream hands on the events that pass its filters.
type eventStream struct {
	filters []eventFilter
	events  chan serf.Event
}

// eventFilter is a kind of event, and of user events and queries a name.
type eventFilter struct{ kind, name string }

var eventKinds = []string{"*", "member-join", "member-leave", "member-failed", "member-update", "member-reap", "user", "query"}

// parseFilters reads "member-join,user:deploy"; nothing is everything.
func parseFilters(text string) ([]eventFilter, error) {
	if text == "" {
		text = "*"
	}
	var filters []eventFilter
	for part := range strings.SplitSeq(text, ",") {
		kind, name, named := strings.Cut(part, ":")
		if !slices.Contains(eventKinds, kind) || named && kind != "user" && kind != "query" {
			return nil, errors.New("Invalid event filter") //nolint:staticcheck // the words of Serf's agent
		}
		filters = append(filters, eventFilter{kind, name})
	}
	return filters, nil
}

func (f eventFilter) passes(e serf.Event) bool {
	if f.kind == "*" {
		return true
	}
	if e.EventType().String() != f.kind {
		return false
	}
	switch e := e.(type) {
	case serf.UserEvent:
		return f.name == "" || f.name == e.Name
	case *serf.Query:
		return f.name == "" || f.name == e.Name
	default:
		return true
	}
}

func (c *client) offerEvent(e serf.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.events {
		if !slices.ContainsFunc(s.filters, func(f eventFilter) bool { return f.passes(e) }) {
			continue
		}
		select {
		case s.events <- e:
		default:
			c.server.log.Warn("event of gossip dropped: the serf command reads too slowly", "event", e.String())
		}
	}
}

func startStream(_ context.Context, c *client, seq uint64) error {
	var r stream
	if err := c.dec.Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	filters, err := parseFilters(r.Type)
	c.mu.Lock()
	if err == nil && (c.events[seq] != nil || len(c.events) >= maxClients) {
		err = errors.New("Stream with given sequence exists") //nolint:staticcheck // the words of Serf's agent
	}
	c.mu.Unlock()
	if sent := c.send(seq, err, nil); sent != nil || err != nil {
		return sent
	}
	s := &eventStream{filters: filters, events: make(chan serf.Event, streamQueue)}
	c.mu.Lock()
	c.events[seq] = s
	c.mu.Unlock()
	pump(c, seq, s.events, c.eventRecord)
	return nil
}

func (c *client) eventRecord(e serf.Event) (any, error) {
	switch e := e.(type) {
	case serf.MemberEvent:
		return &memberEvent{e.String(), toMembers(e.Members)}, nil
	case serf.UserEvent:
		return &userEvent{e.EventType().String(), e.LTime, e.Name, e.Payload, e.Coalesce}, nil
	case *serf.Query:
		return &queryEvent{e.EventType().String(), c.expectResponse(e), e.LTime, e.Name, e.Payload}, nil
	default:
		return nil, fmt.Errorf("event of unknown type %T", e)
	}
}

func stopStream(_ context.Context, c *client, seq uint64) error {
	var r stop
	if err := c.dec.Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	c.mu.Lock()
	if c.monitor != nil && c.monitor.seq == r.Stop {
		close(c.monitor.lines)
		c.monitor = nil
	}
	if s := c.events[r.Stop]; s != nil {
		close(s.events)
		delete(c.events, r.Stop)
	}
	c.mu.Unlock()
	return c.send(seq, nil, nil)
}

// expectResponse numbers a query that the client may respond to until its
// time is up.
func (c *client) expectResponse(q *serf.Query) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for id, old := range c.pending {
		if now.After(old.Deadline()) {
			delete(c.pending, id)
		}
	}
	c.lastID++
	c.pending[c.lastID] = q
	return c.lastID
}

func respondTo(_ context.Context, c *client, seq uint64) error {
	var r respond
	if err := c.dec.Decode(&r); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	c.mu.Lock()
	q := c.pending[r.ID]
	delete(c.pending, r.ID)
	c.mu.Unlock()
	if q == nil {
		return c.send(seq, errors.New("No pending queries matching ID"), nil) //nolint:staticcheck // the words of Serf's agent
	}
	return c.send(seq, q.Respond(r.Payload), nil)
}

func startQuery(_ context.Context, c *client, seq uint64) error {
	var q query
	if err := c.dec.Decode(&q); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	err, sf := checkQueryName(&q), c.server.backend.Serf()
	if err == nil && sf == nil {
		err = errNotRunning
	}
	var answers *serf.QueryResponse
	if err == nil {
		answers, err = sf.Query(q.Name, q.Payload, &serf.QueryParam{
			FilterNodes: q.FilterNodes, FilterTags: q.FilterTags, RequestAck: q.RequestAck, RelayFactor: q.RelayFactor, Timeout: q.Timeout,
		})
	}
	if sent := c.send(seq, err, nil); sent != nil || err != nil {
		return sent
	}
	c.streams.Go(func() {
		if c.streamAnswers(seq, answers) != nil {
			_ = c.conn.Close()
		}
	})
	return nil
}

// streamAnswers sends what members answer to a query until its time is up.
func (c *client) streamAnswers(seq uint64, q *serf.QueryResponse) error {
	acks, answers, record := q.AckCh(), q.ResponseCh(), queryRecord{}
	for acks != nil || answers != nil {
		select {
		case <-c.done:
			return nil
		case from, open := <-acks:
			if !open {
				acks = nil
				continue
			}
			record = queryRecord{Type: "ack", From: from}
		case a, open := <-answers:
			if !open {
				answers = nil
				continue
			}
			record = queryRecord{Type: "response", From: a.From, Payload: a.Payload}
		}
		if err := c.send(seq, nil, &record); err != nil {
			return err
		}
	}
	return c.send(seq, nil, &queryRecord{Type: "done"})
}
