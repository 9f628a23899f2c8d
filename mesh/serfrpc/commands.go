package serfrpc

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/hashicorp/serf/serf"

	"grapevine/internal/buildinfo"
)

// command answers one request whose header is read. An error ends the
// connection; what failed otherwise is told in the answer.
type command func(ctx context.Context, c *client, seq uint64) error

var commands map[string]command

func init() {
	commands = map[string]command{
		"members":          listMembers,
		"members-filtered": filterMembers,
		"join":             joinMembers,
		"leave":            leave,
		"force-leave":      removeMember,
		"event":            sendEvent,
		"tags":             refuseTags,
		"install-key":      changeKey("install"),
		"use-key":          changeKey("use"),
		"remove-key":       changeKey("remove"),
		"list-keys":        listKeys,
		"get-coordinate":   getCoordinate,
		"stats":            stats,
		"monitor":          startMonitor,
		"stream":           startStream,
		"stop":             stopStream,
		"query":            startQuery,
		"respond":          respondTo,
	}
}

var errNotRunning = errors.New("gossip is not running; try again")

// with reads a request's body and answers with what f makes of it.
func with[T any](c *client, seq uint64, f func(sf *serf.Serf, body T) (any, error)) error {
	var body T
	if err := c.dec.Decode(&body); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return without(c, seq, func(sf *serf.Serf) (any, error) { return f(sf, body) })
}

// without answers a request that has no body.
func without(c *client, seq uint64, f func(sf *serf.Serf) (any, error)) error {
	sf := c.server.backend.Serf()
	if sf == nil {
		return c.send(seq, errNotRunning, nil)
	}
	answer, err := f(sf)
	return c.send(seq, err, answer)
}

func listMembers(_ context.Context, c *client, seq uint64) error {
	return without(c, seq, func(sf *serf.Serf) (any, error) { return &members{toMembers(sf.Members())}, nil })
}

func filterMembers(_ context.Context, c *client, seq uint64) error {
	return with(c, seq, func(sf *serf.Serf, f memberFilter) (any, error) {
		found := members{Members: []member{}}
		match, err := f.compile()
		if err != nil {
			return &found, err
		}
		for _, m := range toMembers(sf.Members()) {
			if match(&m) {
				found.Members = append(found.Members, m)
			}
		}
		return &found, nil
	})
}

// compile returns whether a member passes all the filter's expressions, each
// of which must match the whole of what it is about.
func (f *memberFilter) compile() (func(*member) bool, error) {
	type rule struct {
		expr *regexp.Regexp
		of   func(*member) string
	}
	var rules []rule
	add := func(expr string, of func(*member) string) error {
		if expr == "" {
			return nil
		}
		re, err := regexp.Compile("^(?:" + expr + ")$")
		if err != nil {
			return fmt.Errorf("read filter: %w", err)
		}
		rules = append(rules, rule{re, of})
		return nil
	}
	errs := []error{
		add(f.Status, func(m *member) string { return m.Status }),
		add(f.Name, func(m *member) string { return m.Name }),
	}
	for tag, expr := range f.Tags {
		errs = append(errs, add(expr, func(m *member) string { return m.Tags[tag] }))
	}
	return func(m *member) bool {
		for _, r := range rules {
			if !r.expr.MatchString(r.of(m)) {
				return false
			}
		}
		return true
	}, errors.Join(errs...)
}

func joinMembers(_ context.Context, c *client, seq uint64) error {
	return with(c, seq, func(_ *serf.Serf, j join) (any, error) {
		var done joined
		var errs []error
		for _, addr := range j.Existing {
			if err := c.server.backend.Join(addr); err != nil {
				errs = append(errs, err)
			} else {
				done.Num++
			}
		}
		if done.Num > 0 {
			return &done, nil
		}
		return &done, errors.Join(errs...)
	})
}

// leave says good bye. The process goes on: it may have other things to do
// than to gossip.
func leave(ctx context.Context, c *client, seq uint64) error {
	return c.send(seq, c.server.backend.Leave(ctx), nil)
}

func removeMember(_ context.Context, c *client, seq uint64) error {
	return with(c, seq, func(sf *serf.Serf, f forceLeave) (any, error) {
		if f.Prune {
			return nil, sf.RemoveFailedNodePrune(f.Node)
		}
		return nil, sf.RemoveFailedNode(f.Node)
	})
}

func sendEvent(_ context.Context, c *client, seq uint64) error {
	return with(c, seq, func(sf *serf.Serf, e event) (any, error) {
		return nil, sf.UserEvent(e.Name, e.Payload, e.Coalesce)
	})
}

func refuseTags(_ context.Context, c *client, seq uint64) error {
	return with(c, seq, func(*serf.Serf, tags) (any, error) {
		return nil, errors.New("the tags of this member say how its node is reached, and are not changed from outside")
	})
}

func changeKey(action string) command {
	return func(ctx context.Context, c *client, seq uint64) error {
		return with(c, seq, func(_ *serf.Serf, k key) (any, error) {
			answer, err := c.server.backend.Keys(ctx, action, k.Key)
			return &answer, err
		})
	}
}

func listKeys(ctx context.Context, c *client, seq uint64) error {
	answer, err := c.server.backend.Keys(ctx, "list", "")
	return c.send(seq, err, &answer)
}

func getCoordinate(_ context.Context, c *client, seq uint64) error {
	return with(c, seq, func(sf *serf.Serf, n node) (any, error) {
		var answer nodeCoordinate
		coord, ok := sf.GetCachedCoordinate(n.Node)
		if ok {
			answer = nodeCoordinate{*coord, true}
		}
		return &answer, nil
	})
}

func stats(_ context.Context, c *client, seq uint64) error {
	return without(c, seq, func(sf *serf.Serf) (any, error) {
		local := sf.LocalMember()
		return map[string]map[string]string{
			"agent": {"name": local.Name, "grapevine": buildinfo.Version()},
			"runtime": {
				"os": runtime.GOOS, "arch": runtime.GOARCH, "version": runtime.Version(),
				"max_procs": strconv.Itoa(runtime.GOMAXPROCS(0)), "goroutines": strconv.Itoa(runtime.NumGoroutine()), "cpu_count": strconv.Itoa(runtime.NumCPU()),
			},
			"serf": sf.Stats(), "tags": local.Tags, "event_handlers": {},
		}, nil
	})
}

// checkQueryName keeps the queries that Serf makes itself, the changes of keys
// above all, for Serf.
func checkQueryName(q *query) error {
	name, internal := strings.CutPrefix(q.Name, serf.InternalQueryPrefix)
	if internal && (name != "ping" || len(q.Payload) > 0) {
		return fmt.Errorf("Queries cannot contain the '%s' prefix", serf.InternalQueryPrefix) //nolint:staticcheck // the words of Serf's agent
	}
	return nil
}
