package mesh

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"

	"grapevine/mesh/serfrpc"
)

// caller speaks the serf command's protocol, to do what the stock tool cannot.
type caller struct {
	t    *testing.T
	conn net.Conn
	enc  *codec.Encoder
	dec  *codec.Decoder
	seq  uint64
}

func (c *caller) send(command string, body any) uint64 {
	c.t.Helper()
	c.seq++
	if err := c.enc.Encode(map[string]any{"Command": command, "Seq": c.seq}); err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		if err := c.enc.Encode(body); err != nil {
			c.t.Fatal(err)
		}
	}
	return c.seq
}

// header reads the next header and returns whose it is and the error in it.
func (c *caller) header() (uint64, string) {
	c.t.Helper()
	var h struct {
		Seq   uint64
		Error string
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	if err := c.dec.Decode(&h); err != nil {
		c.t.Fatal(err)
	}
	return h.Seq, h.Error
}

func (c *caller) body(out any) {
	c.t.Helper()
	if err := c.dec.Decode(out); err != nil {
		c.t.Fatal(err)
	}
}

// must sends a command and reads its header, which must tell no error.
func (c *caller) must(command string, body any) uint64 {
	c.t.Helper()
	seq := c.send(command, body)
	if got, err := c.header(); got != seq || err != "" {
		c.t.Fatalf("%s: answer to %d, %q", command, got, err)
	}
	return seq
}

// answering runs two members, the first of which answers commands, and returns
// a way to call it.
func answering(t *testing.T) func() *caller {
	t.Helper()
	h := newHerd(t, lan())
	var server *serfrpc.Server
	h.heard = func(e serf.Event) { server.Event(e) }
	listener := h.net.Listen("10.0.9.9:7373")
	backend := &lateBackend{}
	server = serfrpc.New(backend, "the secret of this test", slog.New(slog.DiscardHandler))
	h.add(nil)
	h.add(nil)
	backend.commanded = commanded{h.members[0].serfMembers}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(ctx, listener); err != nil {
			t.Error(err)
		}
	}()
	h.join()
	t.Cleanup(func() {
		cancel()
		<-ended
		h.end()
	})
	return func() *caller {
		conn, err := h.net.Dial(ctx, "10.0.9.8", "10.0.9.9:7373")
		if err != nil {
			t.Fatal(err)
		}
		handle := &codec.MsgpackHandle{WriteExt: true}
		c := &caller{t: t, conn: conn, enc: codec.NewEncoder(conn, handle), dec: codec.NewDecoder(conn, handle)}
		c.must("handshake", map[string]any{"Version": 1})
		return c
	}
}

type lateBackend struct{ commanded }

func TestQueryIsStreamedAndResponded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := answering(t)
		c := call()
		c.must("auth", map[string]any{"AuthKey": "the secret of this test"})
		stream := c.must("stream", map[string]any{"Type": "query:load"})
		// The query itself may be streamed before it is said that it was sent.
		asked, sent := c.send("query", map[string]any{"Name": "load", "RequestAck": true, "Timeout": 5 * time.Second}), false
		type record struct {
			Type, From, Name, Event string
			ID                      uint64
			Payload                 []byte
		}
		var acks []string
		answer, responding, done := "", uint64(0), false
		for !done {
			var r record
			switch seq, failed := c.header(); {
			case failed != "":
				t.Fatal(failed)
			case seq == responding:
			case seq == stream:
				c.body(&r)
				if r.Event != "query" || r.Name != "load" {
					t.Errorf("streamed was %+v", r)
				}
				responding = c.send("respond", map[string]any{"ID": r.ID, "Payload": []byte("0.25")})
			case seq == asked && !sent:
				sent = true
			case seq == asked:
				c.body(&r)
				switch r.Type {
				case "ack":
					acks = append(acks, r.From)
				case "response":
					answer = string(r.Payload)
				case "done":
					done = true
				}
			}
		}
		if answer != "0.25" || len(acks) != 2 || slices.Compact(acks)[0] == "" {
			t.Errorf("the answer is %q, acknowledged by %v", answer, acks)
		}
		c.must("stop", map[string]any{"Stop": stream})
		if seq := c.send("respond", map[string]any{"ID": 99, "Payload": []byte("x")}); seq > 0 {
			if _, failed := c.header(); failed != "No pending queries matching ID" {
				t.Errorf("responding to nothing: %q", failed)
			}
		}
	})
}

func TestStrangerIsToldWhyAndCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := answering(t)
		for command, want := range map[string]string{"auth": "Invalid authentication token", "leave": "Authentication required", "members": "Authentication required"} {
			c := call()
			var body any
			if command == "auth" {
				body = map[string]any{"AuthKey": "a guess"}
			}
			c.send(command, body)
			if _, failed := c.header(); failed != want {
				t.Errorf("%s: %q, want %q", command, failed, want)
			}
			if _, err := c.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("%s: the connection goes on: %v", command, err)
			}
		}
		silent := call()
		began := time.Now()
		if _, err := silent.conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || time.Since(began) > 15*time.Second {
			t.Errorf("who says nothing is let go after %v: %v", time.Since(began), err)
		}
	})
}

func TestRequestWithoutEndIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		call := answering(t)
		c := call()
		c.send("auth", nil)
		// A map of one, whose key is text of 2 GiB.
		if _, err := c.conn.Write([]byte{0x81, 0xdb, 0x7f, 0xff, 0xff, 0xff}); err != nil {
			t.Fatal(err)
		}
		sent := 0
		for chunk := make([]byte, 16<<10); sent < 4<<20; sent += len(chunk) {
			_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
			if _, err := c.conn.Write(chunk); err != nil {
				break
			}
		}
		if sent > 1<<20 {
			t.Errorf("%d bytes of one request were taken", sent)
		}
	})
}
