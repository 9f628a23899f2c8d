package vcsim

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator lets anybody read properties and files; a real host asks for a
// login first. This file makes the simulator ask too.

// openMethods may be called without a login.
var openMethods = []string{"RetrieveServiceContent", "Login"}

// handle is called before each call of the API. It may refuse the call.
func (h *Host) handle(ctx *simulator.Context, method *simulator.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil && !slices.Contains(openMethods, method.Name) {
		return nil, &types.NotAuthenticated{NoPermission: types.NoPermission{Object: &method.This, PrivilegeId: "System.View"}}
	}
	if h.host().Runtime.InMaintenanceMode && refusedInMaintenance[method.Name] {
		return nil, &types.InvalidState{}
	}
	h.trouble.before(ctx, method.Name, snapshotWork(ctx, method))
	h.screens.redirect(method)
	return nil, nil
}

// refusedInMaintenance are the methods that a real host refuses in maintenance mode, and
// the simulator does not.
var refusedInMaintenance = map[string]bool{"PowerOnVM_Task": true, "CreateVM_Task": true}

// SetMaintenance takes the host out of use, or back into it, as a person does.
func (h *Host) SetMaintenance(on bool) error {
	client, err := h.client()
	if err != nil {
		return err
	}
	ctx, cancel := deadline()
	defer cancel()
	host := object.NewHostSystem(client.Client, h.host().Self)
	change := host.ExitMaintenanceMode
	if on {
		change = func(ctx context.Context, timeout int32) (*object.Task, error) {
			return host.EnterMaintenanceMode(ctx, timeout, false, nil)
		}
	}
	task, err := change(ctx, 0)
	if err != nil {
		return fmt.Errorf("change maintenance mode: %w", err)
	}
	if err := task.Wait(ctx); err != nil {
		return fmt.Errorf("change maintenance mode: %w", err)
	}
	return nil
}

// isFolder reports whether a request is about a file of the datastore.
func isFolder(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/folder") }

// login is the key of the login that a request comes with, "" for none.
func (h *Host) login(r *http.Request) string {
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return ""
	}
	for _, s := range h.logins() {
		if s.Key == cookie.Value {
			return s.Key
		}
	}
	return ""
}

// logins lists who is logged in. The simulator tells it only to a session.
func (h *Host) logins() []types.UserSession {
	registry := h.model.Map()
	view := &simulator.Session{Registry: simulator.NewRegistry(), Map: registry}
	return view.Get(registry.SessionManager().Self).(*simulator.SessionManager).SessionList
}

// expire ends the logins with these keys.
func (h *Host) expire(keys ...string) {
	nobody := &simulator.Context{Session: &simulator.Session{}}
	h.model.Map().SessionManager().TerminateSession(nobody, &types.TerminateSession{SessionId: keys})
}

// ExpireSessions ends all logins but a person's, as a restart of the host's
// management agent does.
func (h *Host) ExpireSessions() error {
	client, err := h.client()
	if err != nil {
		return err
	}
	ctx, cancel := deadline()
	defer cancel()
	own, err := client.SessionManager.UserSession(ctx)
	if err != nil {
		return err
	}
	for _, s := range h.logins() {
		if own == nil || s.Key != own.Key {
			h.expire(s.Key)
		}
	}
	return nil
}
