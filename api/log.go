package api

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

type logIn struct {
	ID     string `path:"id" doc:"its id"`
	Offset int64  `query:"offset" minimum:"0" doc:"first byte wanted"`
}

// logChunk is read from the host, sent and flushed at once.
const logChunk = 32 << 10

// stream is an answer written piece by piece.
type stream struct{ Body func(huma.Context) }

func (s *server) addLog() {
	add(s, route{
		method: http.MethodGet, path: "/v1/instances/{id}/log", id: "get-instance-log", tag: "instances",
		summary:     "Read what an instance has printed on its serial console",
		description: "text/plain, from byte offset to the end of what is recorded; nothing when there is no more.",
	}, s.getLog)
}

func (s *server) getLog(ctx context.Context, in *logIn) (*stream, error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	content, err := s.core.InstanceLog(ctx, id, in.Offset)
	if err != nil {
		return nil, err
	}
	return &stream{func(hc huma.Context) { s.copyLog(hc, id, content) }}, nil
}

// copyLog sends the log. The type is set by us and may not be guessed: what a
// guest prints is not ours.
func (s *server) copyLog(hc huma.Context, id fleet.InstanceID, content io.ReadCloser) {
	defer func() { _ = content.Close() }() // it was only read
	hc.SetHeader("Content-Type", "text/plain; charset=utf-8")
	hc.SetHeader("X-Content-Type-Options", "nosniff")
	hc.SetStatus(http.StatusOK)
	w := hc.BodyWriter()
	chunk := make([]byte, logChunk)
	for {
		n, err := content.Read(chunk)
		if n > 0 {
			if _, werr := w.Write(chunk[:n]); werr != nil {
				return // the client has gone
			}
			if flusher, ok := w.(http.Flusher); ok {
				flusher.Flush()
			}
		}
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			s.log.WarnContext(hc.Context(), "log cut short", "instance", id.String(), "error", err)
			panic(http.ErrAbortHandler) // so that the client sees that the log is not whole
		}
	}
}
