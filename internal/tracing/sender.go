package tracing

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"grapevine/internal/pause"
)

// tracesPath is where OTLP over HTTP takes traces, below the endpoint.
const tracesPath = "/v1/traces"

const (
	firstRetry = 250 * time.Millisecond
	// maxAnswer bounds what is read of an answer: a few numbers and a sentence.
	maxAnswer = 64 << 10
	maxIdle   = 90 * time.Second
)

// sender posts spans to a collector. It implements otlptrace.Client; the
// libraries' own client for HTTP brings gRPC with it.
type sender struct {
	url       string
	transport *http.Transport
	rejected  int // of the last batch; of the goroutine that uploads alone
}

func newSender(set Settings, dial func(context.Context, string, string) (net.Conn, error)) (*sender, error) {
	trusted, err := authorities(set.CAFile)
	if err != nil {
		return nil, err
	}
	return &sender{
		url: strings.TrimRight(set.Endpoint, "/") + tracesPath,
		transport: &http.Transport{
			DialContext:         dial,
			TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trusted},
			TLSHandshakeTimeout: sendWithin,
			MaxIdleConns:        1,
			IdleConnTimeout:     maxIdle,
		},
	}, nil
}

// authorities reads who vouches for the collector; nil are the system's.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tracing_ca_file cannot be read; correct its path, or let this daemon's user read it: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("tracing_ca_file: %s holds no certificate; it must be PEM", file)
	}
	return pool, nil
}

// Start implements otlptrace.Client.
func (s *sender) Start(context.Context) error { return nil }

// Stop implements otlptrace.Client.
func (s *sender) Stop(context.Context) error { return nil }

func (s *sender) close() { s.transport.CloseIdleConnections() }

// refused returns how many spans of the last batch the collector took and threw
// away.
func (s *sender) refused() int { return s.rejected }

// UploadTraces implements otlptrace.Client: it tries until the collector takes
// the spans, refuses them for good, or ctx ends.
func (s *sender) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	s.rejected = 0
	// It has the wire form of an ExportTraceServiceRequest, whose package has the
	// gRPC service in it.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	for wait := firstRetry; ; wait *= 2 {
		again, err := s.post(ctx, body)
		if err == nil {
			return nil
		}
		if !again || !s.pause(ctx, err, wait) {
			return err
		}
	}
}

// pause waits before another try: for as long as the collector asks for, or
// otherwise up to wait. It reports false where that try would come too late.
func (s *sender) pause(ctx context.Context, err error, wait time.Duration) bool {
	waiting := pause.UpTo
	if later, ok := errors.AsType[*laterError](err); ok && later.after > 0 {
		wait, waiting = later.after, pause.For
	}
	if due, ok := ctx.Deadline(); ok && time.Until(due) < wait {
		return false
	}
	return waiting(ctx, wait)
}

// laterError is a collector that asks for the same again, later.
type laterError struct {
	status int
	after  time.Duration // 0 where it does not say
}

// Error implements error.
func (e *laterError) Error() string { return fmt.Sprintf("the collector answers %d", e.status) }

// post sends the spans once. Again says whether that may be tried again.
func (s *sender) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "grapevine")
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return true, fmt.Errorf("send spans: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // all that matters was read
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch resp.StatusCode {
	case http.StatusOK:
		s.rejected = rejected(answer)
		return false, nil // also where the answer was cut off: the spans are there
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true, &laterError{resp.StatusCode, retryAfter(resp.Header)}
	default:
		return false, errors.Join(fmt.Errorf("the collector answers %d", resp.StatusCode), err)
	}
}

// retryAfter reads how long the collector wants to be left alone. It says so in
// seconds; a date would compare its clock with ours.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.ParseUint(header.Get("Retry-After"), 10, 16)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// The fields of ExportTraceServiceResponse and ExportTracePartialSuccess.
const (
	partialSuccess = 1
	rejectedSpans  = 1
)

// rejected reads how many spans a collector threw away that answered well.
func rejected(answer []byte) int {
	partial, _ := field(answer, partialSuccess)
	_, count := field(partial, rejectedSpans)
	return int(min(count, maxBatch))
}

// field returns a field of a message as bytes, or as a number; nothing where it
// is not there or the message cannot be read.
func field(message []byte, wanted protowire.Number) (content []byte, number uint64) {
	for len(message) > 0 {
		at, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return nil, 0
		}
		message = message[n:]
		if n = protowire.ConsumeFieldValue(at, kind, message); n < 0 {
			return nil, 0
		}
		switch {
		case at == wanted && kind == protowire.BytesType:
			content, _ = protowire.ConsumeBytes(message)
		case at == wanted && kind == protowire.VarintType:
			number, _ = protowire.ConsumeVarint(message)
		}
		message = message[n:]
	}
	return content, number
}
