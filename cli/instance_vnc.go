package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"

	"grapevine/api/client"
	"grapevine/fleet"
)

// checkLoopback refuses an address that other machines could reach: a screen
// that is served there asks for no password.
func checkLoopback(addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not an address and a port, such as 127.0.0.1:5901", addr)
	}
	if !at.Addr().IsLoopback() {
		return fmt.Errorf("%s can be reached by other machines, and the screen is served without a password; use 127.0.0.1 or [::1]", addr)
	}
	return nil
}

// serveVNC lets VNC viewers on this machine see the instance's screen until ctx
// ends. Each connection takes a ticket of its own.
func (a *app) serveVNC(ctx context.Context, node *client.Client, row *fleet.Instance, ask fleet.OpenConsole, listen string) error {
	// One for nothing, so that what cannot be is said now and not to a viewer.
	if _, err := node.OpenConsole(ctx, row.ID, ask); err != nil {
		return err
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", listen)
	if err != nil {
		return fmt.Errorf("listen for a VNC viewer: %w", err)
	}
	a.note("the screen of %s is at %s for a VNC viewer, such as: vncviewer %s", row.Name, listener.Addr(), listener.Addr())
	fmt.Fprintln(a.out, listener.Addr())
	stop := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer stop()
	var viewers sync.WaitGroup
	defer viewers.Wait()
	for {
		viewer, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("listen for a VNC viewer: %w", errors.Join(err, listener.Close()))
		}
		viewers.Go(func() {
			if err := view(ctx, node, row.ID, ask, viewer); err != nil {
				a.note("%s", sentence(err))
			}
		})
	}
}

// view connects one viewer with the screen.
func view(ctx context.Context, node *client.Client, id fleet.InstanceID, ask fleet.OpenConsole, viewer net.Conn) error {
	defer viewer.Close()
	screen, _, err := openConsole(ctx, node, id, ask)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = viewer.Close() })
	defer stop()
	var typing sync.WaitGroup
	typing.Go(func() {
		_, _ = io.Copy(screen, viewer) // a viewer may go at any time
		_ = screen.Close()
	})
	_, err = io.Copy(viewer, screen)
	_ = viewer.Close()
	typing.Wait()
	if fleet.CodeOf(err) == "" {
		return nil // the viewer has gone
	}
	return err
}
