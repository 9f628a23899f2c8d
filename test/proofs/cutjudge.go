package proofs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing/synctest"
	"time"

	"grapevine/agent/audit"
	"grapevine/agent/journal"
	"grapevine/drivers"
	"grapevine/fleet"
)

// sight is what there is to see of a machine.
type sight struct {
	Host      string
	Machine   drivers.Machine
	Devices   []fleet.Device
	Snapshots []fleet.Snapshot
}

// look returns what there is to see of the operation, told the same way for each
// round: without ids and dates.
func (c *cutting) look() (string, error) {
	var all []sight
	for _, id := range c.ids {
		for _, h := range c.copies()[id] {
			s, err := h.sight(c.t.Context(), id)
			if err != nil {
				return "", err
			}
			all = append(all, s)
		}
	}
	var more any
	if c.op.shows != nil {
		var err error
		if more, err = c.op.shows(c); err != nil {
			return "", err
		}
	}
	text, err := json.MarshalIndent(map[string]any{"machines": all, "more": more}, "", " ")
	if err != nil {
		return "", err
	}
	plain := string(text)
	for n, id := range c.ids {
		plain = strings.ReplaceAll(plain, id.String(), fmt.Sprint("id-", n))
		plain = strings.ReplaceAll(plain, c.key(n), fmt.Sprint("name-", n))
		for i := range fleet.MaxNICs {
			plain = strings.ReplaceAll(plain, fleet.MACAddress(id, i), fmt.Sprintf("mac-%d-%d", n, i))
		}
	}
	return plain, nil
}

func (h *Host) sight(ctx context.Context, id fleet.InstanceID) (s sight, err error) {
	d := h.Hypervisor.Connect()
	defer d.Close()
	s.Host = h.Name
	if s.Machine, err = d.Inspect(ctx, id); err != nil {
		return s, err
	}
	s.Machine.Addresses = nil
	if m := s.Machine.Mark; m != nil {
		m.CreatedAt, m.RequestHash = time.Time{}, ""
	}
	if s.Devices, err = d.Devices(ctx, id); err != nil {
		return s, err
	}
	s.Snapshots, err = d.Snapshots(ctx, id)
	if errors.Is(err, drivers.ErrUnsupported) {
		err = nil
	}
	for i := range s.Snapshots {
		s.Snapshots[i].CreatedAt = time.Time{}
	}
	return s, err
}

// memory is what the host's agent has on its disk.
type memory struct {
	operations []journal.Operation
	claims     []string // with their faults
	drain      journal.Drain
	audited    map[string]bool // operations and routes of which the audit log tells
}

// remembers reads a copy of the journal, as it would be after a kill now.
func (c *cutting) remembers() (m memory, err error) {
	synctest.Wait()
	text, err := os.ReadFile(filepath.Join(c.host.dir, "journal.db"))
	if err != nil {
		return m, err
	}
	path := filepath.Join(c.dir, "copy.db")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return m, err
	}
	j, err := journal.Open(path)
	if err != nil {
		return m, err
	}
	defer j.Close()
	if m.operations, err = j.Operations(); err != nil {
		return m, err
	}
	if m.drain, err = j.Drain(); err != nil {
		return m, err
	}
	if m.audited, err = auditedIn(j); err != nil {
		return m, err
	}
	claims, err := j.Claims()
	for i := range claims {
		m.claims = append(m.claims, fmt.Sprintf("%s (%s)", claims[i].ID(), claims[i].Fault))
	}
	return m, err
}

// drainRoutes are the requests after which an agent begins operations by itself.
var drainRoutes = map[string]string{"drain": "POST /v1/hosts/{id}/drain", "undrain": "POST /v1/hosts/{id}/undrain"}

// auditedIn checks a journal's audit log, and returns the operations and
// routes that it tells of.
func auditedIn(j *journal.Journal) (map[string]bool, error) {
	page, err := j.AuditPage(fleet.AuditQuery{After: new(uint64)})
	if err != nil {
		return nil, err
	}
	if page.Next != 0 {
		return nil, errors.New("the audit log has more entries than this proof looks at")
	}
	check := audit.NewCheck(page.Begin, nil)
	check.Take(page.Items...)
	if faults := check.End(page.Head); len(faults) > 0 {
		return nil, fmt.Errorf("the audit log is not whole: %q", faults)
	}
	told := map[string]bool{}
	for _, e := range page.Items {
		told[e.Operation], told[e.Route] = true, true
	}
	return told, nil
}

func (c *cutting) countOperations() (int, error) {
	m, err := c.remembers()
	return len(m.operations), err
}

// judge says what is not as it was promised, once all is over.
func (c *cutting) judge(out, usual *outcome, got reply) (err error) {
	if out.after, err = c.look(); err != nil {
		return err
	}
	m, err := c.remembers()
	if err != nil {
		return err
	}
	begun := m.operations[min(c.since, len(m.operations)):]
	if err := c.ended(begun, got); err != nil {
		return err
	}
	for _, op := range begun {
		byItself := strings.HasPrefix(op.Key, "autostart ") || m.audited[drainRoutes[c.op.name]]
		if !m.audited[op.ID] && !byItself {
			return fmt.Errorf("operation %s (%s) was begun, and the audit log does not tell of it", op.ID, op.Verb)
		}
	}
	if len(m.claims) > 0 {
		return fmt.Errorf("claims are left: %v", m.claims)
	}
	if usual == nil {
		if got.err != nil || slices.ContainsFunc(begun, failed) {
			return fmt.Errorf("it failed: %w, %+v", got.err, begun)
		}
		return nil
	}
	done := out.after == usual.after
	switch {
	case !done && out.after != usual.before:
		return fmt.Errorf("what there is to see is neither as before nor as after it, but\n%s\nbefore\n%s\nafter\n%s", out.after, usual.before, usual.after)
	case !done && got.err == nil && !c.op.mayFail:
		return fmt.Errorf("it was promised (%s), and nothing came of it: %+v", got.operation, begun)
	}
	return c.again(usual, begun, got)
}

func failed(op journal.Operation) bool { return op.State == fleet.OperationFailed }

// ended says which operation has not ended as it must have.
func (c *cutting) ended(begun []journal.Operation, got reply) error {
	known := got.operation == ""
	for _, op := range begun {
		known = known || op.ID == got.operation
		switch {
		case op.State == fleet.OperationRunning || op.EndedAt == nil:
			return fmt.Errorf("operation %s (%s) is %s for ever", op.ID, op.Verb, op.State)
		case op.State == fleet.OperationFailed && op.Fault == "":
			return fmt.Errorf("operation %s (%s) failed without a reason", op.ID, op.Verb)
		case failed(op) && !c.op.mayFail:
			return fmt.Errorf("operation %s (%s) failed: %s", op.ID, op.Verb, op.Fault)
		}
	}
	if !known {
		return fmt.Errorf("the journal has nothing of operation %s, which was promised: %+v", got.operation, begun)
	}
	return nil
}

// again sends the request once more. One with a key is what it was, and any
// other does what was not done, or is refused for what it finds.
func (c *cutting) again(usual *outcome, begun []journal.Operation, was reply) error {
	told := c.send()
	got := <-told
	if err := c.settle(); err != nil {
		return fmt.Errorf("asked again: %w", err)
	}
	after, err := c.look()
	if err != nil {
		return err
	}
	m, err := c.remembers()
	if err != nil {
		return err
	}
	further := len(m.operations) - c.since - len(begun)
	switch {
	case c.op.keyed && got.err != nil:
		return fmt.Errorf("asked again with the same key: %w", got.err)
	case c.op.keyed && len(begun) > 0 && further > 0:
		return fmt.Errorf("asked again with the same key, %d operations were begun anew", further)
	case c.op.keyed && was.operation != "" && got.operation != "" && was.operation != got.operation:
		return fmt.Errorf("the same key was answered with operation %s and then with %s", was.operation, got.operation)
	case len(begun) == 0 && got.err != nil && c.op.keyed:
		return fmt.Errorf("nothing was begun, and asked again it is refused: %w", got.err)
	case after != usual.after && !c.op.mayFail && (got.err != nil || c.op.keyed || len(begun) == 0): // else it was done twice
		return fmt.Errorf("asked again (%+v), it is not as after it, but\n%s\nafter\n%s", got, after, usual.after)
	}
	return nil
}

// tidy removes what the round was about, and says what is left then.
func (c *cutting) tidy() error {
	if c.op.after != nil {
		c.op.after(c)
	}
	for _, id := range c.ids {
		for _, h := range c.copies()[id] {
			ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
			_, err := h.Client.DeleteInstance(ctx, id, time.Minute)
			cancel()
			if fleet.CodeOf(err) == fleet.CodeNotManaged {
				err = h.Hypervisor.Remove(id)
			}
			if err != nil {
				return fmt.Errorf("delete it afterwards: %w", err)
			}
		}
	}
	if err := c.settle(); err != nil {
		return fmt.Errorf("after its delete: %w", err)
	}
	for _, h := range c.Hosts {
		if machines, disks := h.Hypervisor.Machines(), h.Hypervisor.Disks(); len(machines)+len(disks) > 0 {
			return fmt.Errorf("left on %s after all was deleted: machines %+v, disks %v", h.Name, machines, disks)
		}
		entries, err := os.ReadDir(filepath.Join(h.dir, "images"))
		if err != nil || len(entries) > 0 {
			return fmt.Errorf("left in the spool of %s: %v, %w", h.Name, entries, err)
		}
	}
	return nil
}
