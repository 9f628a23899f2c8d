package xenlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"time"
)

// DialLoopback connects to a port of dom0's own loopback, through SSH. Who
// listens is there at once, or the first read ends.
func (h *Host) DialLoopback(ctx context.Context, _, address string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // it outlives the dialing
	near, far := net.Pipe()
	cmd := h.forward(ctx, address)
	cmd.Stdout = far
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("dial %s in dom0: %w", address, errors.Join(err, near.Close(), far.Close()))
	}
	t := &tunnel{Conn: near, cancel: cancel, gone: make(chan struct{})}
	go func() {
		_, _ = io.Copy(in, far)
		_ = in.Close()
	}()
	go func() {
		defer close(t.gone)
		_ = cmd.Wait()
		_ = far.Close()
	}()
	return t, nil
}

// tunnel is the near end of a connection through an SSH client.
type tunnel struct {
	net.Conn
	cancel context.CancelFunc
	gone   chan struct{} // closed when the client has ended
}

// Close ends the client too.
func (t *tunnel) Close() error {
	err := t.Conn.Close()
	t.cancel()
	select {
	case <-t.gone:
		return err
	case <-time.After(wake):
		return errors.Join(err, errors.New("the SSH client goes on"))
	}
}

// forward is an SSH client that connects its own input and output to an address
// in dom0.
func (h *Host) forward(ctx context.Context, address string) *exec.Cmd {
	cmd := h.ssh(ctx, "")
	cmd.Args = append(cmd.Args[:len(cmd.Args)-2], "-W", address, "root@127.0.0.1")
	return cmd
}
