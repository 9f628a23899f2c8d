package serfrpc

import (
	"bufio"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/serf/serf"
)

const (
	// maxRequest bounds a request: a user event of 9 KiB is the longest.
	maxRequest = 64 << 10
	// A client says its secret within authWithin, and takes an answer within
	// writeWithin.
	authWithin  = 10 * time.Second
	writeWithin = 10 * time.Second
	// lingerFor is how long a refused client may take to read why: the stock
	// one forgets an answer that the connection's end comes right behind.
	lingerFor = 2 * time.Second
)

var (
	errHandshake = errors.New("Handshake required")           //nolint:staticcheck // the words of the protocol
	errAuth      = errors.New("Authentication required")      //nolint:staticcheck // the words of the protocol
	errSecret    = errors.New("Invalid authentication token") //nolint:staticcheck // the words of the protocol
)

// client is one connection. Its requests are answered one after the other;
// streams write between them.
type client struct {
	server *Server
	conn   net.Conn
	input  io.LimitedReader
	dec    *codec.Decoder

	write sync.Mutex
	out   *bufio.Writer
	enc   *codec.Encoder

	greeted, known bool // handshake done, secret told

	streams sync.WaitGroup
	done    <-chan struct{} // closed at the connection's end

	mu      sync.Mutex // guards all below; taken inside the server's
	monitor *lineStream
	events  map[uint64]*eventStream
	pending map[uint64]*serf.Query // that may be responded to
	lastID  uint64
}

func newClient(s *Server, conn net.Conn) *client {
	c := &client{server: s, conn: conn, events: map[uint64]*eventStream{}, pending: map[uint64]*serf.Query{}}
	// As in Serf's agent: byte strings are marked as such, times are not.
	handle := &codec.MsgpackHandle{WriteExt: true}
	handle.TimeNotBuiltin = true
	c.input.R = conn
	c.dec = codec.NewDecoder(bufio.NewReader(&c.input), handle)
	c.out = bufio.NewWriter(conn)
	c.enc = codec.NewEncoder(c.out, handle)
	return c
}

// serve answers requests until the client goes, misbehaves, or ctx ends.
func (c *client) serve(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	c.done = ctx.Done()
	c.streams.Go(func() {
		<-ctx.Done()
		_ = c.conn.Close()
	})
	defer c.streams.Wait()
	defer cancel()
	for {
		err := c.answer(ctx)
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
			return
		}
		if err != nil {
			c.server.log.Info("serf command ended", "from", c.conn.RemoteAddr().String(), "error", err)
			return
		}
	}
}

// answer reads a request and answers it. An error ends the connection.
func (c *client) answer(ctx context.Context) error {
	deadline := time.Time{}
	if !c.known {
		deadline = time.Now().Add(authWithin)
	}
	_ = c.conn.SetReadDeadline(deadline)
	c.input.N = maxRequest
	var r request
	if err := c.dec.Decode(&r); err != nil {
		return err
	}
	switch {
	case r.Command == "handshake":
		return c.greet(r.Seq)
	case !c.greeted:
		return c.refuse(r.Seq, errHandshake)
	case r.Command == "auth":
		return c.authenticate(r.Seq)
	case !c.known:
		return c.refuse(r.Seq, errAuth)
	}
	handle, ok := commands[r.Command]
	if !ok {
		return c.refuse(r.Seq, errors.New("Unsupported command")) //nolint:staticcheck // the words of the protocol
	}
	return handle(ctx, c, r.Seq)
}

func (c *client) greet(seq uint64) error {
	var h handshake
	if err := c.dec.Decode(&h); err != nil {
		return err
	}
	if h.Version != Version {
		return c.refuse(seq, fmt.Errorf("Unsupported IPC version")) //nolint:staticcheck // the words of the protocol
	}
	c.greeted = true
	return c.send(seq, nil, nil)
}

// authenticate takes the secret. A wrong one ends the connection, so that each
// guess costs one.
func (c *client) authenticate(seq uint64) error {
	var a auth
	if err := c.dec.Decode(&a); err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(a.AuthKey), c.server.secret) != 1 {
		return c.refuse(seq, errSecret)
	}
	c.known = true
	return c.send(seq, nil, nil)
}

// refuse answers with an error, waits until the client has read it and gone,
// and ends the connection.
func (c *client) refuse(seq uint64, why error) error {
	if err := c.send(seq, why, nil); err != nil {
		return errors.Join(why, err)
	}
	_ = c.conn.SetReadDeadline(time.Now().Add(lingerFor))
	_, _ = io.CopyN(io.Discard, c.conn, maxRequest)
	return why
}

// send answers a request, or adds to a stream: a header and, where there is
// one, a body.
func (c *client) send(seq uint64, failed error, body any) error {
	header := reply{Seq: seq}
	if failed != nil {
		header.Error = failed.Error()
	}
	c.write.Lock()
	defer c.write.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(writeWithin))
	if err := c.enc.Encode(&header); err != nil {
		return err
	}
	if body != nil {
		if err := c.enc.Encode(body); err != nil {
			return err
		}
	}
	return c.out.Flush()
}
