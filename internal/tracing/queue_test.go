package tracing

import (
	"context"
	"encoding/pem"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"grapevine/internal/testlog"
	"grapevine/internal/tracing/tracetest"
)

// pipes is a network in memory with one server on it.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	p.conns <- there
	return here, nil
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { close(p.done); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// bench is a tracer before a collector, in virtual time.
type bench struct {
	*Tracer
	metrics *prometheus.Registry
	log     testlog.Log
}

func newBench(t *testing.T, collector http.HandlerFunc) *bench {
	t.Helper()
	network := &pipes{conns: make(chan net.Conn, 16), done: make(chan struct{})}
	server := &http.Server{Handler: collector}
	go func() { _ = server.Serve(network) }()
	b := &bench{metrics: prometheus.NewRegistry()}
	tracer, err := New(Settings{Endpoint: "http://collector:4318", Ratio: 1}, Deps{
		Service: Service{Name: "test"}, Dial: network.dial, Metrics: b.metrics, Log: slog.New(slog.NewTextHandler(&b.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Tracer = tracer
	t.Cleanup(func() {
		tracer.Close()
		_ = server.Close()
	})
	return b
}

// end has n spans end, one after the other.
func (b *bench) end(t *testing.T, n int) {
	t.Helper()
	for range n {
		_, span := b.Start(t.Context(), "work")
		span.End(nil)
	}
}

// counted are the counts, by reason, "sent" among them.
func (b *bench) counted(t *testing.T) map[string]int {
	t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := "sent"
			if labels := m.GetLabel(); len(labels) > 0 {
				name = labels[0].GetValue()
			}
			if v := int(m.GetCounter().GetValue()); v > 0 {
				out[name] = v
			}
		}
	}
	return out
}

func (b *bench) expect(t *testing.T, want map[string]int) {
	t.Helper()
	got := b.counted(t)
	for _, name := range []string{"sent", queueFull, notTaken, refusedByCollector, atShutdown} {
		if got[name] != want[name] {
			t.Errorf("the counts are %v, want %v", got, want)
			return
		}
	}
}

func TestCollectorThatHangsHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		b := newBench(t, func(http.ResponseWriter, *http.Request) { <-hang })
		b.end(t, 1)
		time.Sleep(2 * sendEvery) // virtual: the batch is on its way, and nobody takes it
		begun := time.Now()
		b.end(t, maxQueued+100)
		if took := time.Since(begun); took != 0 {
			t.Errorf("whose span ended waited for %s", took)
		}
		b.expect(t, map[string]int{queueFull: 100})
		time.Sleep(sendWithin)
		b.expect(t, map[string]int{queueFull: 100, notTaken: 1})
		begun = time.Now()
		_, late := b.Start(t.Context(), "work that ends too late")
		b.Close()
		if took := time.Since(begun); took != 0 {
			t.Errorf("it waited for %s at the end, of a collector that fails already", took)
		}
		late.End(nil)
		b.expect(t, map[string]int{queueFull: 100, notTaken: 1, atShutdown: maxQueued + 1})
		if lines := strings.Count(b.log.String(), "\n"); lines != 1 {
			t.Errorf("the log is\n%s", b.log.String())
		}
	})
}

func TestCollectorThatBeginsToHangIsWaitedForOnceAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		defer close(hang)
		b := newBench(t, func(http.ResponseWriter, *http.Request) { <-hang })
		b.end(t, 2*maxBatch+1)
		begun := time.Now()
		b.Close()
		if took := time.Since(begun); took != flushWithin {
			t.Errorf("it closed after %s, want %s", took, flushWithin)
		}
		b.expect(t, map[string]int{atShutdown: 2*maxBatch + 1})
	})
}

func TestCollectorThatAsksForLaterIsAskedLater(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		after  string
		least  time.Duration
		sent   bool
	}{
		"503 with Retry-After":        {http.StatusServiceUnavailable, "4", 4 * time.Second, true},
		"429 without":                 {http.StatusTooManyRequests, "", firstRetry / 2, true},
		"502 with what is no number":  {http.StatusBadGateway, "soon", firstRetry / 2, true},
		"503 later than it is worth":  {http.StatusServiceUnavailable, "3600", 0, false},
		"500 is for good":             {http.StatusInternalServerError, "1", 0, false},
		"400 is for good":             {http.StatusBadRequest, "1", 0, false},
		"a way elsewhere is not gone": {http.StatusFound, "1", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				collector := tracetest.New()
				var asked []time.Time
				b := newBench(t, func(w http.ResponseWriter, r *http.Request) {
					if asked = append(asked, time.Now()); len(asked) == 1 {
						w.Header().Set("Retry-After", test.after)
						w.Header().Set("Location", "http://elsewhere/")
						w.WriteHeader(test.status)
						return
					}
					collector.ServeHTTP(w, r)
				})
				b.end(t, 3)
				time.Sleep(sendWithin + sendEvery)
				if !test.sent {
					b.expect(t, map[string]int{notTaken: 3})
					if len(asked) != 1 {
						t.Errorf("it was asked %d times", len(asked))
					}
					b.end(t, 1) // and the next are taken
					time.Sleep(sendEvery)
					synctest.Wait()
					b.expect(t, map[string]int{notTaken: 3, "sent": 1})
					if log := b.log.String(); !strings.Contains(log, "takes traces again") {
						t.Errorf("the log is\n%s", log)
					}
					return
				}
				b.expect(t, map[string]int{"sent": 3})
				if len(asked) != 2 || asked[1].Sub(asked[0]) < test.least || len(collector.Spans(t)) != 3 {
					t.Errorf("it was asked at %v and has %d spans", asked, len(collector.Spans(t)))
				}
			})
		})
	}
}

func TestWhatTheCollectorThrowsAwayIsCounted(t *testing.T) {
	for name, test := range map[string]struct {
		answer  string
		refused int
	}{
		"two of three":      {"\x0a\x08\x08\x02\x12\x04full", 2},
		"none":              {"", 0},
		"words alone":       {"\x0a\x06\x12\x04fine", 0},
		"more than it had":  {"\x0a\x03\x08\xe8\x07", 3},
		"nonsense":          {"\xff\xff\xff", 0},
		"cut off":           {"\x0a\x08\x08", 0},
		"less than nothing": {"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(test.answer)) })
				b.end(t, 3)
				time.Sleep(2 * sendEvery)
				b.expect(t, map[string]int{refusedByCollector: test.refused, "sent": 3 - test.refused})
			})
		})
	}
}

func TestCloseSendsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		collector := tracetest.New()
		b := newBench(t, collector.ServeHTTP)
		b.end(t, 2*maxBatch+7)
		begun := time.Now()
		for range 2 {
			b.Close()
		}
		if took := time.Since(begun); took != 0 || len(collector.Spans(t)) != 2*maxBatch+7 {
			t.Errorf("after %s it has %d spans", took, len(collector.Spans(t)))
		}
		b.expect(t, map[string]int{"sent": 2*maxBatch + 7})
	})
}

func TestCollectorIsJudgedByItsAuthority(t *testing.T) {
	collector := tracetest.New()
	server := httptest.NewTLSServer(collector)
	defer server.Close()
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	dir := t.TempDir()
	file, empty := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "empty.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	for name, content := range map[string][]byte{file: text, empty: []byte("nothing")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []string{empty, filepath.Join(dir, "none.pem")} {
		if _, err := New(Settings{Endpoint: server.URL, CAFile: bad, Ratio: 1}, Deps{}); err == nil || !strings.Contains(err.Error(), "tracing_ca_file") {
			t.Errorf("of %s it says %v", bad, err)
		}
	}
	tracer, err := New(Settings{Endpoint: server.URL, CAFile: file, Ratio: 1}, Deps{})
	if err != nil {
		t.Fatal(err)
	}
	_, span := tracer.Start(t.Context(), "work")
	span.End(nil)
	tracer.Close()
	if spans := collector.Spans(t); len(spans) != 1 {
		t.Errorf("it has\n%s", tracetest.Tree(spans))
	}
}
