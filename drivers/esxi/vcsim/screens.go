package vcsim

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// The simulator has no tickets for consoles. This file answers AcquireTicket as
// the API's reference has it, and serves the tickets of the kind webmks as
// clients of real hosts have found them: RFB 3.8 without a password, over a
// WebSocket at the host's own port, by the subprotocol binary. What is typed
// and drawn is not there: nothing boots.

// screens are the tickets that are out and the screens that are open.
type screens struct {
	mu      sync.Mutex
	tickets map[string]types.ManagedObjectReference // guarded by mu; of machines
	open    map[*websocket.Conn]types.ManagedObjectReference
}

// ticketPath is where tickets are used.
const ticketPath = "/ticket/"

// office issues tickets, in place of the simulator's machines.
type office struct {
	mo.ServiceInstance // the simulator wants its objects to be of a kind that it knows
	screens            *screens
}

var theOffice = types.ManagedObjectReference{Type: "GrapevineTicketOffice", Value: "tickets"}

// Reference is called by the simulator.
func (o *office) Reference() types.ManagedObjectReference { return theOffice }

// AcquireTicket is called by the simulator. A ticket is good once.
func (o *office) AcquireTicket(ctx *simulator.Context, req *types.AcquireTicket) soap.HasFault {
	body := &methods.AcquireTicketBody{}
	vm, is := ctx.Map.Get(req.This).(*simulator.VirtualMachine)
	switch {
	case !is:
		body.Fault_ = simulator.Fault("", &types.ManagedObjectNotFound{Obj: req.This})
		return body
	case req.TicketType != "webmks":
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "ticketType"})
		return body
	}
	var power types.VirtualMachinePowerState
	ctx.WithLock(vm, func() { power = vm.Runtime.PowerState })
	if power != types.VirtualMachinePowerStatePoweredOn {
		body.Fault_ = simulator.Fault("", &types.InvalidPowerState{RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: power})
		return body
	}
	token := strings.ToLower(rand.Text())
	o.screens.mu.Lock()
	defer o.screens.mu.Unlock()
	if o.screens.tickets == nil {
		o.screens.tickets = map[string]types.ManagedObjectReference{}
	}
	o.screens.tickets[token] = req.This
	// Its host is one that nobody else can resolve, as it is behind NAT.
	body.Res = &types.AcquireTicketResponse{Returnval: types.VirtualMachineTicket{Ticket: token, CfgFile: "/vmfs/volumes/machine.vmx", Host: "esxi.invalid"}}
	return body
}

// redirect sends the call for a ticket to the office.
func (s *screens) redirect(method *simulator.Method) {
	if method.Name == "AcquireTicket" {
		method.This = theOffice
	}
}

// serve serves the screen that a ticket is for.
func (s *screens) serve(w http.ResponseWriter, r *http.Request) {
	token := strings.TrimPrefix(r.URL.Path, ticketPath)
	s.mu.Lock()
	machine, good := s.tickets[token]
	delete(s.tickets, token)
	s.mu.Unlock()
	if !good {
		http.Error(w, "no such ticket", http.StatusNotFound)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"binary"}, InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	if conn.Subprotocol() != "binary" {
		return // as hosts do: the connection is just lost
	}
	s.mu.Lock()
	if s.open == nil {
		s.open = map[*websocket.Conn]types.ManagedObjectReference{}
	}
	s.open[conn] = machine
	s.mu.Unlock()
	speakRFB(websocket.NetConn(context.Background(), conn, websocket.MessageBinary))
	s.mu.Lock()
	delete(s.open, conn)
	s.mu.Unlock()
}

// speakRFB greets a client as RFC 6143 has it, and hears what it says until it
// goes. It draws nothing.
func speakRFB(conn io.ReadWriter) {
	const name = "simulated"
	screen := binary.BigEndian.AppendUint16(nil, 720)
	screen = binary.BigEndian.AppendUint16(screen, 400)
	screen = append(screen, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0)
	screen = append(binary.BigEndian.AppendUint32(screen, uint32(len(name))), name...)
	for _, step := range []struct {
		say  string
		hear int
	}{{"RFB 003.008\n", 12}, {"\x01\x01", 1}, {"\x00\x00\x00\x00", 1}, {string(screen), 0}} {
		if _, err := io.WriteString(conn, step.say); err != nil {
			return
		}
		if _, err := io.ReadFull(conn, make([]byte, step.hear)); err != nil {
			return
		}
	}
	_, _ = io.Copy(io.Discard, conn)
}

// cut ends the screens of a machine, or all with none, without a word.
func (s *screens) cut(machine *types.ManagedObjectReference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn, of := range s.open {
		if machine == nil || of == *machine {
			_ = conn.CloseNow()
		}
	}
}

// screenWatch names this handler among those of the simulator.
var screenWatch = types.ManagedObjectReference{Type: "GrapevineScreenWatch", Value: "screens"}

// Reference is called by the simulator.
func (s *screens) Reference() types.ManagedObjectReference { return screenWatch }

// PutObject is called by the simulator when there is a new object.
func (s *screens) PutObject(*simulator.Context, mo.Reference) {}

// UpdateObject is called by the simulator when an object changes: a machine that
// stops has no screen.
func (s *screens) UpdateObject(_ *simulator.Context, object mo.Reference, changes []types.PropertyChange) {
	for _, c := range changes {
		if c.Name == "runtime.powerState" && c.Val != types.VirtualMachinePowerStatePoweredOn {
			machine := object.Reference()
			s.cut(&machine)
		}
	}
}

// RemoveObject is called by the simulator when an object is gone.
func (s *screens) RemoveObject(_ *simulator.Context, machine types.ManagedObjectReference) {
	s.cut(&machine)
}
