package agent_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"grapevine/agent"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
	"grapevine/identity"
)

// ranged is an image of three ranges, with its content.
func ranged() (fleet.Image, []byte) {
	content := bytes.Repeat([]byte("grapevine!"), 2<<20)
	for i := range content {
		content[i] ^= byte(i >> 12)
	}
	sum := sha256.Sum256(content)
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content)), Format: "raw", VirtualBytes: int64(len(content))}
	return fleet.Image{ID: f.SHA256, Name: "ranged", Files: []fleet.ImageFile{f}, Bytes: f.Bytes}, content
}

const ranges = 3

// giver stands between an agent and its driver, where others read its images.
type giver struct {
	*simulated.Driver
	asked *atomic.Int64
	alter func(n int64, r io.ReadCloser) (io.ReadCloser, error) // of the n-th range
}

func (g *giver) ReadImage(ctx context.Context, id string, role fleet.ImageRole, offset, length int64) (io.ReadCloser, error) {
	r, err := g.Driver.ReadImage(ctx, id, role, offset, length)
	if n := g.asked.Add(1); g.alter != nil && err == nil {
		return g.alter(n, r)
	}
	return r, err
}

// give makes the site's agent count, and alter, what it gives.
func (s *site) give(alter func(n int64, r io.ReadCloser) (io.ReadCloser, error)) *atomic.Int64 {
	s.t.Helper()
	asked := &atomic.Int64{}
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &giver{d, asked, alter} }
	s.restart()
	return asked
}

// beside starts a further agent of the fleet, on a host without images.
func (s *site) beside(n byte, name string) *site {
	s.t.Helper()
	hypervisor, err := simulated.New(simulated.Config{Hardware: "board-" + name, Resources: fleet.Resources{VCPUs: 4, MemoryMiB: 4096, DiskGiB: 100}})
	if err != nil {
		s.t.Fatal(err)
	}
	other := &site{t: s.t, hypervisor: hypervisor, ca: s.ca, id: fleet.UUID{n}, key: s.key, life: s.life}
	other.configure(name, func(c *agent.Config) { c.Join = []string{s.agent.GossipAddr()} })
	other.own = other.issue(identity.Agent, other.id)
	other.start()
	s.t.Cleanup(other.stop)
	return other
}

// store imports the image of three ranges.
func (s *site) store() fleet.Image {
	s.t.Helper()
	im, content := ranged()
	if _, err := s.ImportImage(s.t.Context(), fleet.HostID{}, im, bytes.NewReader(content)); err != nil {
		s.t.Fatal(err)
	}
	return im
}

// sees waits until the site knows holders of the image, all that there are.
func (s *site) sees(id string, holders int) {
	s.t.Helper()
	s.until("the holders of the image are seen", func() bool {
		im, err := s.Image(s.t.Context(), id)
		return err == nil && len(im.Hosts) == holders
	})
}

// of asks for an instance on the image, as a registry does.
func of(n byte, im fleet.Image) fleet.Proposal {
	p := proposal(n, 256)
	p.Image = im.ID
	return p
}

func (s *site) claim(p fleet.Proposal) fleet.Accepted {
	s.t.Helper()
	accepted, err := s.Claim(s.t.Context(), p)
	if err != nil {
		s.t.Fatal(err)
	}
	return accepted
}

// holds checks that the site gives the image's content itself, and that nothing
// is left of how it came.
func (s *site) holds(im fleet.Image) {
	s.t.Helper()
	r, err := s.ReadImage(s.t.Context(), im.ID, fleet.RoleDisk, 0, im.Bytes)
	if err != nil {
		s.t.Fatal(err)
	}
	sum := sha256.New()
	_, err = io.Copy(sum, r)
	if err := errors.Join(err, r.Close()); err != nil {
		s.t.Fatal(err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != im.Files[0].SHA256 {
		s.t.Errorf("the host's copy has the sha256 %s, want %s", got, im.Files[0].SHA256)
	}
	host := s.host()
	if !host.HoldsImage(im.ID) {
		s.t.Errorf("the host's row does not tell of the image")
	}
	s.spoolIsEmpty()
}

func (s *site) spoolIsEmpty() {
	s.t.Helper()
	if left, err := os.ReadDir(filepath.Join(s.cfg.DataDir, "images")); err != nil || len(left) > 0 {
		s.t.Errorf("left in the spool: %v, %v", left, err)
	}
}

// fault waits until the instance's build has failed, and returns why.
func (s *site) fault(id fleet.InstanceID) string {
	s.t.Helper()
	var row *fleet.Instance
	s.until("the build has failed", func() bool {
		row = s.row(id)
		return row != nil && row.Task == fleet.TaskNone
	})
	return row.Fault
}

func TestHostFetchesTheImageOnceForAllWhoWaitForIt(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	all := make(chan struct{})
	asked := first.give(func(_ int64, r io.ReadCloser) (io.ReadCloser, error) {
		<-all
		return r, nil
	})
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	var accepted fleet.Accepted
	for n := byte(1); n <= 3; n++ {
		accepted = second.claim(of(n, im))
	}
	second.until("the operation tells what it does", func() bool {
		op, err := second.Operation(t.Context(), accepted.Operation)
		if err != nil {
			t.Fatal(err)
		}
		return op.Image == im.ID && op.Step == "fetching image" && op.Progress != nil && *op.Progress == fleet.Progress{TotalBytes: im.Bytes}
	})
	close(all)
	for n := byte(1); n <= 3; n++ {
		second.running(of(n, im).ID)
	}
	if got := asked.Load(); got != ranges {
		t.Errorf("the holder was asked for %d ranges, want %d", got, ranges)
	}
	second.holds(im)
	first.sees(im.ID, 2)
}

func TestFetchedImageIsGivenOn(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	second.running(second.claim(of(1, im)).Instance.ID)
	third := second.beside(3, "host-3")
	third.sees(im.ID, 2)
	first.stop()
	third.running(third.claim(of(2, im)).Instance.ID)
	third.holds(im)
}

func TestHolderThatDiesInTheMiddleIsReplaced(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	second.running(second.claim(of(1, im)).Instance.ID)
	dead := errors.New("the disk is dead")
	first.give(func(n int64, r io.ReadCloser) (io.ReadCloser, error) {
		return &torn{io.MultiReader(io.LimitReader(r, 1<<20), iotest.ErrReader(dead)), r}, nil
	})
	third := second.beside(3, "host-3")
	third.sees(im.ID, 2)
	third.running(third.claim(of(2, im)).Instance.ID)
	third.holds(im)
}

type torn struct {
	io.Reader
	io.Closer
}

func TestWrongContentFailsTheBuildAndNamesItsHolder(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	first.give(func(_ int64, r io.ReadCloser) (io.ReadCloser, error) {
		content, err := io.ReadAll(r)
		content[len(content)/2] ^= 1
		return &torn{bytes.NewReader(content), r}, err
	})
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	id := second.claim(of(1, im)).Instance.ID
	fault := second.fault(id)
	if !strings.Contains(fault, "it came from host-1") || !strings.Contains(fault, "the content is not the image's") {
		t.Errorf("the fault is %q", fault)
	}
	host := second.host()
	if host.HoldsImage(im.ID) || host.Capacity.VCPUs.Allocated != 0 {
		t.Errorf("after the failed build: %+v", host)
	}
	second.spoolIsEmpty()
}

func TestFetchGoesOnAfterTheAgentIsRestarted(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	stuck, back := make(chan struct{}), make(chan struct{})
	asked := first.give(func(n int64, r io.ReadCloser) (io.ReadCloser, error) {
		if n == ranges { // the first time, the last range does not come
			close(stuck)
			<-back
			return &torn{iotest.ErrReader(errors.New("stuck")), r}, nil
		}
		return r, nil
	})
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	id := second.claim(of(1, im)).Instance.ID
	<-stuck
	second.restart()
	close(back)
	second.running(id)
	second.holds(im)
	if got := asked.Load(); got > ranges+2 {
		t.Errorf("the holder was asked for %d ranges of %d; those that were there were fetched again", got, ranges)
	}
}

func TestFullStorageFailsTheBuildAndLeavesNothing(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	second.hypervisor.FillStorage(true)
	fault := second.fault(second.claim(of(1, im)).Instance.ID)
	if !strings.Contains(fault, drivers.ErrOutOfSpace.Error()) {
		t.Errorf("the fault is %q", fault)
	}
	second.spoolIsEmpty()
}

func TestImageThatNobodyHeardHoldsIsRefused(t *testing.T) {
	first := newSite(t, nil)
	im := first.store()
	second := first.beside(2, "host-2")
	second.sees(im.ID, 1)
	first.stop()
	second.until("the holder is not heard", func() bool {
		host, err := second.Host(t.Context(), first.id)
		return err == nil && host.Reachability != fleet.ReachOK && host.Reachability != fleet.ReachSuspect
	})
	_, err := second.Claim(t.Context(), of(1, im))
	code(t, err, fleet.CodeRefused)
	if !strings.Contains(err.Error(), "no host that could give it can be heard") {
		t.Errorf("got %v", err)
	}
}
