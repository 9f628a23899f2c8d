package proofs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing/synctest"
	"time"

	"grapevine/agent/journal"
	"grapevine/api/client"
	"grapevine/fleet"
)

// moving is one instance that goes from one host to another, and what is broken on
// its way.
type moving struct {
	*World
	from, to *Host
	key      string
	made     fleet.Instance
	words    string // on its disk
}

// breach is what is broken when one of the two hosts comes by a point.
type breach struct {
	at    *Host
	point point
	what  string
	lasts time.Duration
}

func (b *breach) String() string {
	return fmt.Sprintf("%s %s of %s, for %v", b.what, b.point, b.at.Name, b.lasts)
}

// What is broken.
const (
	killThis  = "killed"
	killOther = "the other killed"
	killBoth  = "both killed"
	cutApart  = "cut apart"
)

// prepare creates the instance at its source, writes to its disk and stops it.
func (m *moving) prepare() error {
	m.words = "words of " + m.key
	accepted, err := m.create()
	if err != nil {
		return err
	}
	m.made = accepted.Instance
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	if _, err := m.from.Client.ActInstance(ctx, m.made.ID, fleet.Stop, client.ActOptions{Force: true, Wait: time.Minute}); err != nil {
		return err
	}
	return m.from.Hypervisor.WriteDisk(m.made.ID, "disk-0", 100, []byte(m.words))
}

// create asks for the instance, for the first time or again.
func (m *moving) create() (fleet.Accepted, error) { return m.createAs(m.key, m.from.Name) }

// createAs asks for an instance of the same name, which is unique, with a key.
func (m *moving) createAs(key, host string) (fleet.Accepted, error) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	ask := fleet.Create{
		Name: m.key, Flavor: "nano", Image: "tiny", Host: host, Disks: []fleet.Disk{{SizeGiB: 1}},
		UniqueName: true, Labels: map[string]string{"tier": "front"}, Guest: fleet.Guest{Hostname: "h-" + m.key},
	}
	return m.Registries[0].Client.CreateInstance(ctx, ask, client.CreateOptions{Key: key, Wait: 30 * time.Second})
}

// travel moves the instance, breaks what is to be broken, mends it, and waits until
// all is over.
func (m *moving) travel(b *breach) (broken bool, err error) {
	for _, h := range []*Host{m.from, m.to} {
		h.points.watch(nil)
	}
	if b != nil {
		b.at.points.watch(func(p point, _ int) bool { return p == b.point })
	}
	told := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
		defer cancel()
		_, err := m.Registries[0].Client.MigrateInstance(ctx, m.made.ID, fleet.Migrate{Host: m.to.Name}, client.KeyedOptions{Key: m.key})
		told <- err
	}()
	if b != nil {
		broken = m.breakAt(b, told)
	}
	err = <-told
	if err != nil && b == nil {
		return broken, err
	}
	return broken, m.settle()
}

// breakAt waits until the host stands at the point, breaks what is to be broken,
// and mends it after a while. It returns false where the host never came by.
func (m *moving) breakAt(b *breach, told chan error) bool {
	caught := false
	for began := time.Now(); !caught && time.Since(began) < 30*time.Second; {
		select {
		case <-b.at.points.reached:
			caught = true
		case <-time.After(20 * time.Millisecond):
			if len(told) == 1 && m.over() == nil {
				began = time.Time{}
			}
		}
	}
	if !caught {
		b.at.points.watch(nil)
		return false
	}
	other := m.from
	if b.at == m.from {
		other = m.to
	}
	switch b.what {
	case killThis:
		m.without(b.lasts, b.at)
	case killOther:
		other.Kill()
		b.at.points.goOn()
		time.Sleep(b.lasts)
		other.Start()
	case killBoth:
		m.without(b.lasts, b.at, other)
	case cutApart:
		m.Cut([]string{m.from.place.name}, []string{m.to.place.name})
		b.at.points.goOn()
		time.Sleep(b.lasts)
		m.Mend()
	}
	return true
}

// without kills hosts, and starts them again after a while.
func (w *World) without(d time.Duration, hosts ...*Host) {
	for _, h := range hosts {
		h.Kill()
	}
	for i, h := range hosts {
		time.Sleep(d / time.Duration(i+1))
		h.Start()
	}
}

// settle waits until all is over that goes on by itself.
func (m *moving) settle() error {
	var err error
	for began, wait := time.Now(), 50*time.Millisecond; time.Since(began) < quietWithin; wait = min(2*wait, 2*time.Second) {
		if err = m.over(); err == nil {
			return nil
		}
		time.Sleep(wait)
	}
	return fmt.Errorf("not over after %v: %w", quietWithin, err)
}

// over says why the move is not over yet.
func (m *moving) over() error {
	if err := m.heard(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	rows, err := m.Registries[0].Client.AllInstances(ctx, fleet.InstanceQuery{})
	if err != nil {
		return err
	}
	hosts, err := m.Registries[0].Client.Hosts(ctx)
	if err != nil {
		return err
	}
	shown := map[fleet.InstanceID][]fleet.Instance{}
	for _, row := range rows.Items {
		if row.Task != fleet.TaskNone {
			return fmt.Errorf("instance %s is %s (%s)", row.ID, row.Task, row.Fault)
		}
		shown[row.ID] = append(shown[row.ID], row)
	}
	errs := []error{m.from.judge(hosts.Items, shown), m.to.judge(hosts.Items, shown)}
	if on := m.copies()[m.made.ID]; len(on) != 1 {
		errs = append(errs, fmt.Errorf("it is on %d hosts", len(on)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return errors.Join(m.idle(m.from), m.idle(m.to))
}

// judge says what is not as it was promised, once all is over, and where it is.
func (m *moving) judge() (at *Host, err error) {
	on := m.copies()[m.made.ID]
	if len(on) != 1 {
		return nil, fmt.Errorf("it is on %d hosts", len(on))
	}
	at = on[0]
	machine := at.machine(m.made.ID)
	row, err := m.row(m.made.ID)
	if err != nil {
		return at, err
	}
	want := uint64(1)
	if at == m.to {
		want = 2
	}
	again, err := m.create()
	for began := time.Now(); fleet.CodeOf(err) == fleet.CodeBusy && time.Since(began) < quietWithin; again, err = m.create() {
		time.Sleep(time.Second) // the source is not through with it yet
	}
	switch {
	case machine.Mark.Generation != want || row.Generation != want:
		return at, fmt.Errorf("at %s its machine has generation %d, its row %d", at.Name, machine.Mark.Generation, row.Generation)
	case row.Host != at.ID || row.Power != fleet.PowerStopped || row.DiskGiB != m.made.DiskGiB || row.Labels["tier"] != "front" || !row.CreatedAt.Equal(m.made.CreatedAt):
		return at, fmt.Errorf("it was %+v and is %+v", m.made, row)
	case err != nil || again.Instance.ID != m.made.ID || again.Instance.Host != at.ID:
		return at, fmt.Errorf("the same create is answered with %+v, %w", again.Instance, err)
	case at.Hypervisor.Guest(m.made.ID).Hostname != "h-"+m.key:
		return at, fmt.Errorf("cloud-init is told %+v", at.Hypervisor.Guest(m.made.ID))
	}
	if err := m.nameIsTaken(); err != nil {
		return at, err
	}
	if text, err := at.reads(m.made.ID, "disk-0"); err != nil || !strings.HasSuffix(text, m.words) {
		return at, fmt.Errorf("its disk holds %q, %w", text, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	found, err := m.Registries[0].Client.Verify(ctx)
	if err != nil || len(found.Items) > 0 {
		return at, fmt.Errorf("verify finds %+v, %w", found.Items, err)
	}
	return at, errors.Join(m.remembersNothing(m.from), m.remembersNothing(m.to))
}

// nameIsTaken says why another instance could have the name.
func (m *moving) nameIsTaken() error {
	other, err := m.createAs("another-"+m.key, "")
	var e *fleet.Error
	if !errors.As(err, &e) || e.Code != fleet.CodeNameTaken || e.Instance != m.made.ID {
		return fmt.Errorf("a create of the same name is answered with %+v, %w", other.Instance, err)
	}
	return nil
}

// reads returns what a disk of a stopped machine holds.
func (h *Host) reads(id fleet.InstanceID, disk string) (string, error) {
	d := h.Hypervisor.Connect()
	defer d.Close()
	content, err := d.ReadDisk(context.Background(), id, disk)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(content)
	return string(text), errors.Join(err, content.Close())
}

// memoryOf opens a copy of a host's journal, as it would be after a kill now.
func (m *moving) memoryOf(h *Host) (*journal.Journal, error) {
	synctest.Wait()
	text, err := os.ReadFile(filepath.Join(h.dir, "journal.db"))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(m.dir, "copy.db")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	return journal.Open(path)
}

// idle says what a host's agent still has to do.
func (m *moving) idle(h *Host) error {
	j, err := m.memoryOf(h)
	if err != nil {
		return err
	}
	defer j.Close()
	kept, err := j.Operations()
	for _, op := range kept {
		if op.State == fleet.OperationRunning {
			return fmt.Errorf("%s has operation %s under way: %s", h.Name, op.ID, op.Step)
		}
		if op.Unsettled() {
			return fmt.Errorf("%s does not know that %s is through with move %s", h.Name, op.Moving.Source, op.Moving.ID)
		}
	}
	return err
}

// remembersNothing says what is left over in a host's journal and on its disk.
func (m *moving) remembersNothing(h *Host) error {
	j, err := m.memoryOf(h)
	if err != nil {
		return err
	}
	defer j.Close()
	claims, err := j.Claims()
	if err != nil || len(claims) > 0 {
		return fmt.Errorf("%s keeps claims: %+v, %w", h.Name, claims, err)
	}
	images, err := h.Hypervisor.Connect().Images(context.Background())
	if err != nil || len(images) != 1 {
		return fmt.Errorf("%s has %d images, %w", h.Name, len(images), err)
	}
	entries, err := os.ReadDir(filepath.Join(h.dir, "images"))
	if err != nil || len(entries) > 0 {
		return fmt.Errorf("left in the spool of %s: %v, %w", h.Name, entries, err)
	}
	return nil
}

// tidy starts the instance, to see that it can be, and deletes it.
func (m *moving) tidy(at *Host) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	if accepted, err := m.Registries[0].Client.ActInstance(ctx, m.made.ID, fleet.Start, client.ActOptions{Wait: time.Minute}); err != nil || accepted.Instance.Power != fleet.PowerRunning {
		return fmt.Errorf("start it afterwards: %+v, %w", accepted.Instance, err)
	}
	if _, err := at.Client.DeleteInstance(ctx, m.made.ID, time.Minute); err != nil {
		return fmt.Errorf("delete it afterwards: %w", err)
	}
	for _, h := range m.Hosts {
		if machines, disks := h.Hypervisor.Machines(), h.Hypervisor.Disks(); len(machines)+len(disks) > 0 {
			return fmt.Errorf("left on %s: machines %+v, disks %v", h.Name, machines, disks)
		}
	}
	return nil
}
