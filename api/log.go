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
	Offset int64  `query:"offset" minimum:"0" doc:"first byte wanted, counted from the oldest that is kept"`
	Tail   int64  `query:"tail" minimum:"0" doc:"only the last so many bytes"`
	Follow bool   `query:"follow" doc:"go on with what is printed later, until the instance is gone"`
}

// logChunk is read from the host, sent and flushed at once.
const logChunk = 32 << 10

// stream is an answer written piece by piece.
type stream struct{ Body func(huma.Context) }

func (s *server) addLog() {
	add(s, route{
		method: http.MethodGet, path: "/v1/instances/{id}/log", id: "get-instance-log", tag: "instances",
		summary: "Read what an instance has printed on its serial console",
		description: "text/plain, from byte offset to the end of what is recorded; nothing when there is no more. " +
			"What is kept is bounded: older bytes make way for newer ones.",
	}, s.getLog)
}

func (s *server) getLog(ctx context.Context, in *logIn) (*stream, error) {
	id, err := parseID("instance", in.ID)
	if err != nil {
		return nil, err
	}
	part := fleet.LogRange{Offset: in.Offset, Tail: in.Tail, Follow: in.Follow}
	if err := part.Validate(); err != nil {
		return nil, err
	}
	content, err := s.reads(ctx).InstanceLog(ctx, id, part)
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
	flusher, streams := w.(http.Flusher)
	if streams {
		flusher.Flush() // one that is followed may be silent for long
	}
	chunk := make([]byte, logChunk)
	for {
		n, err := content.Read(chunk)
		if n > 0 {
			if _, werr := w.Write(chunk[:n]); werr != nil {
				return // the client has gone
			}
			if streams {
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
