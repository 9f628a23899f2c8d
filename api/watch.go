package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	"grapevine/fleet"
)

type watchIn struct {
	Host string `query:"host" doc:"only changes of this host, by id or name"`
}

func (s *server) addWatch() {
	add(s, route{
		method: http.MethodGet, path: "/v1/mesh/watch", id: "watch-mesh", tag: "mesh", media: "text/event-stream",
		summary: "Stream what becomes of the hosts' blocks at this node",
		description: "Server-sent events from now on. \"change\": one host's new version, as HostChange, with the number of versions in between that are not shown; " +
			"\"end\": why the node ends the stream, as a problem's code and detail. Comments come every 15 seconds of silence. " +
			"A reader that takes nothing for 30 seconds is cut off.",
	}, s.watch)
	s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[fleet.HostChange](), true, "HostChange")
}

func (s *server) watch(ctx context.Context, in *watchIn) (*stream, error) {
	changes, err := s.core.Watch(ctx, in.Host)
	if err != nil {
		return nil, err
	}
	return &stream{func(hc huma.Context) { s.sendChanges(hc, changes) }}, nil
}

// sendChanges writes events until the changes end or the client has gone.
func (s *server) sendChanges(hc huma.Context, changes iter.Seq2[[]fleet.HostChange, error]) {
	hc.SetHeader("Content-Type", "text/event-stream")
	hc.SetHeader("Cache-Control", "no-store")
	hc.SetStatus(http.StatusOK)
	w := humagin.Unwrap(hc).Writer
	if send(w, []byte(": watching\n\n")) != nil {
		return
	}
	for batch, err := range changes {
		events := []byte(": nothing new\n\n")
		switch {
		case err != nil:
			p := problemOf(err)
			events = event("end", map[string]any{"code": p.Code, "detail": p.Detail})
		case len(batch) > 0:
			events = changeEvents(batch)
		}
		if send(w, events) != nil {
			return // the client has gone, or takes nothing
		}
	}
}

func changeEvents(batch []fleet.HostChange) []byte {
	var events bytes.Buffer
	for i := range batch {
		batch[i].Rows = list(batch[i].Rows)
		events.Write(event("change", &batch[i]))
	}
	return events.Bytes()
}

// event writes one event; JSON holds no line breaks.
func event(name string, data any) []byte {
	content, err := json.Marshal(data)
	if err != nil {
		panic(fmt.Sprintf("event %s does not encode: %v", name, err))
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, content)
}

// send writes and flushes; who takes nothing is cut off by the server.
func send(w http.ResponseWriter, content []byte) error {
	if _, err := w.Write(content); err != nil {
		return err
	}
	return http.NewResponseController(w).Flush()
}
