package esxi

import (
	"context"
	"reflect"
	"sync/atomic"

	"github.com/vmware/govmomi/vim25/soap"
)

// renewing does a call once more, after a new login, when the host refused it
// because it no longer knew the old one: a host ends a login that was idle for
// 30 minutes, and all of them when its management agent restarts. A refused
// call has done nothing, so nothing is ever done twice, wherever in an
// operation the login ends.
type renewing struct {
	next  soap.RoundTripper
	login func(context.Context) error
	turn  chan struct{} // held by the one who logs in
	// logins counts, so that of several calls refused at once one logs in. A
	// host refuses a login to whoever is logged in.
	logins atomic.Int64
}

func renewal(next soap.RoundTripper, login func(context.Context) error) *renewing {
	return &renewing{next: next, login: login, turn: make(chan struct{}, 1)}
}

// RoundTrip implements soap.RoundTripper.
func (r *renewing) RoundTrip(ctx context.Context, req, res soap.HasFault) error {
	seen := r.logins.Load()
	err := r.next.RoundTrip(ctx, req, res)
	if !isNotAuthenticated(err) {
		return err
	}
	if err := r.renew(ctx, seen); err != nil {
		return err
	}
	reflect.ValueOf(res).Elem().SetZero() // the refusal is in it
	return r.next.RoundTrip(ctx, req, res)
}

// renew logs in, unless somebody has since the caller saw so many logins.
func (r *renewing) renew(ctx context.Context, seen int64) error {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if r.logins.Load() != seen {
		return nil
	}
	if err := r.login(ctx); err != nil {
		return err
	}
	r.logins.Add(1)
	return nil
}
