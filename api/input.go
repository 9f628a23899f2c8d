package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"grapevine/fleet"
)

// MaxWait bounds how long a reply may be held.
const MaxWait = 5 * time.Minute

// out is an answer that is nothing but its body.
type out[T any] struct{ Body T }

// nothing is the input of a route that takes none.
type nothing struct{}

// named is the input of a route about one thing.
type named struct {
	ID string `path:"id" doc:"its id"`
}

// parseWait returns how long to hold the reply; 0 for not at all.
func parseWait(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, badRequest("wait %.40q is not a duration; write it like 30s or 2m", s)
	}
	if d <= 0 || d > MaxWait {
		return 0, invalid("wait is %s; it must be more than 0 and at most %s", d, MaxWait)
	}
	return d, nil
}

func badRequest(format string, args ...any) error {
	return &fleet.Error{Code: fleet.CodeBadRequest, Detail: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return &fleet.Error{Code: fleet.CodeInvalid, Detail: fmt.Sprintf(format, args...)}
}

// parseID reads the id of a host or an instance from a path.
func parseID(what, s string) (fleet.UUID, error) {
	id, err := fleet.ParseUUID(s)
	if err != nil {
		return fleet.UUID{}, badRequest("%s id %v", what, err)
	}
	return id, nil
}

// parseLabels reads label filters of the form key=value.
func parseLabels(filters []string) (map[string]string, error) {
	labels := make(map[string]string, len(filters))
	for _, filter := range filters {
		key, value, ok := strings.Cut(filter, "=")
		if !ok || key == "" {
			return nil, badRequest("label %.80q is not of the form key=value", filter)
		}
		if _, twice := labels[key]; twice {
			return nil, badRequest("label %.80q is given twice; nothing has two values of it", key)
		}
		labels[key] = value
	}
	return labels, nil
}

// findHost reads a host's id, or finds the one host with this name.
func (s *server) findHost(ctx context.Context, idOrName string) (fleet.HostID, error) {
	if id, err := fleet.ParseUUID(idOrName); err == nil {
		return id, nil
	}
	hosts, err := s.core.Hosts(ctx)
	if err != nil {
		return fleet.HostID{}, err
	}
	var found []string
	var id fleet.HostID
	for i := range hosts.Items {
		if hosts.Items[i].Name == idOrName {
			id = hosts.Items[i].ID
			found = append(found, id.String())
		}
	}
	switch len(found) {
	case 0:
		return fleet.HostID{}, &fleet.Error{Code: fleet.CodeNotFound, Detail: fmt.Sprintf("no host has the id or name %.80q; list them with: grapevine host list", idOrName)}
	case 1:
		return id, nil
	default:
		return fleet.HostID{}, &fleet.Error{Code: fleet.CodeAmbiguous, Candidates: found, Detail: fmt.Sprintf("%d hosts have the name %.80q; give the id of one", len(found), idOrName)}
	}
}
