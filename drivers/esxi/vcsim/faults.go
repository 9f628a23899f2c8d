package vcsim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// trouble is what is to go wrong at a host.
type trouble struct {
	mu       sync.Mutex
	requests int // of drivers, since CountRequests
	expireAt int // the request that finds its login ended; 0 for none
	loseAt   int // the request whose answer is lost; 0 for none
	full     bool
	tasks    map[string]taskTrouble // by method, for the next task that it begins
	begun    *begun                 // a call under way whose task is to be met
	holds    map[types.ManagedObjectReference]*Hold
}

// CountRequests begins to count the requests of drivers, from 0.
func (h *Host) CountRequests() {
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	h.trouble.requests = 0
}

// Requests is how many requests drivers have made since CountRequests.
func (h *Host) Requests() int {
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	return h.trouble.requests
}

// ExpireAt ends the login of whoever makes the n-th request from now, before
// it is looked at.
func (h *Host) ExpireAt(n int) {
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	h.trouble.expireAt = h.trouble.requests + n
}

// LoseAnswer does what the n-th request from now asks, and cuts its connection
// instead of answering.
func (h *Host) LoseAnswer(n int) {
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	h.trouble.loseAt = h.trouble.requests + n
}

// RefuseCall answers the next call of a method of the API with a fault, such
// as TaskInProgress, before anything is done.
func (h *Host) RefuseCall(method, fault string) {
	h.model.Service.AddFaultRule(&simulator.FaultInjectionRule{
		MethodName: method, ObjectType: "*", ObjectName: "*", Probability: 1, MaxCount: 1, Enabled: true,
		FaultType: simulator.FaultTypeCustom, Fault: faultNamed(fault),
	})
}

// NoMoreFaults forgets all faults that have not struck yet, and FillDatastore.
func (h *Host) NoMoreFaults() {
	h.model.Service.ClearFaultRules()
	h.FillDatastore(false)
	h.trouble.mu.Lock()
	defer h.trouble.mu.Unlock()
	h.trouble.expireAt, h.trouble.loseAt, h.trouble.tasks, h.trouble.begun = 0, 0, nil, nil
}

// faultNamed makes the fault of that name.
func faultNamed(name string) types.BaseMethodFault {
	kind, ok := types.TypeFunc()(name)
	if !ok {
		panic(fmt.Sprintf("there is no fault %q", name))
	}
	return reflect.New(kind).Interface().(types.BaseMethodFault)
}

// strike counts a driver's request and says what happens to it.
func (t *trouble) strike() (expire, lose bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	return t.requests == t.expireAt, t.requests == t.loseAt
}

// gate is in front of the simulator: it drops every connection while the host
// is cut off, asks for a login where the simulator does not, and makes trouble.
func (h *Host) gate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.cut.Load() {
			panic(http.ErrAbortHandler) // net/http closes the connection without a word
		}
		if r.UserAgent() == personAgent {
			next.ServeHTTP(w, r)
			return
		}
		expire, lose := h.trouble.strike()
		if expire {
			h.expire(h.login(r))
		}
		switch {
		case strings.HasPrefix(r.URL.Path, ticketPath):
			h.screens.serve(w, r)
		case isFolder(r) && h.login(r) == "":
			http.Error(w, "log in first", http.StatusUnauthorized)
		case lose:
			next.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case isFolder(r) && r.Method == http.MethodPut && h.trouble.isFull():
			h.breakOff(w, r, next)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
