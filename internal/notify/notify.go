// Package notify tells systemd how a daemon is: ready, alive, stopping. Without
// systemd every call does nothing.
package notify

import (
	"context"
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that the daemon serves.
func Ready(status string) error { return send(daemon.SdNotifyReady + "\nSTATUS=" + status) }

// Stopping says that the daemon is on its way down, so that systemd waits.
func Stopping() error { return send(daemon.SdNotifyStopping) }

// Watch tells systemd's watchdog that the daemon is alive, twice in every
// WatchdogSec, for as long as healthy returns nil. It blocks until ctx ends,
// and then returns nil; with no watchdog asked for it only waits. A daemon that
// stays unhealthy is restarted by systemd, its last status saying why.
func Watch(ctx context.Context, healthy func(context.Context) error) error {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("read WATCHDOG_USEC: %w", err)
	}
	if interval <= 0 {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(interval / 2)
	defer tick.Stop()
	for {
		if err := beat(ctx, interval/2, healthy); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// beat asks once, for at most limit.
func beat(ctx context.Context, limit time.Duration, healthy func(context.Context) error) error {
	probe, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := healthy(probe); err != nil {
		return send(fmt.Sprintf("STATUS=unhealthy: %.200s", err))
	}
	return send(daemon.SdNotifyWatchdog)
}

func send(state string) error {
	if _, err := daemon.SdNotify(false, state); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
