package agent_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

func TestRescueIsShownRefusesWhatWouldBeLostAndEndsAsItBegan(t *testing.T) {
	s := newSite(t, nil)
	id, other := s.built(), s.imported("rescuer", 1)
	was := s.row(id)
	accepted, err := s.RescueInstance(t.Context(), id, fleet.Rescue{Image: "rescuer"}, client.KeyedOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Rescue != other.ID || row.Image != was.Image || row.Power != fleet.PowerRunning || row.Fault != "" {
		t.Fatalf("the row is %+v, want it running, rescued by %.12s", row, other.ID)
	}
	s.restart()
	if row := s.running(id); row.Rescue != other.ID {
		t.Errorf("after a restart it is rescued by %q", row.Rescue)
	}
	for what, ask := range map[string]func() error{
		"rebuild": func() error {
			_, err := s.RebuildInstance(t.Context(), id, fleet.Rebuild{}, client.KeyedOptions{})
			return err
		},
		"rescue": func() error {
			_, err := s.RescueInstance(t.Context(), id, fleet.Rescue{Image: other.ID}, client.KeyedOptions{})
			return err
		},
		"resize": func() error { _, err := s.ResizeInstance(t.Context(), id, "tiny", 0); return err },
		"device": func() error { _, err := s.ChangeDevice(t.Context(), id, attachDisk(1), 0); return err },
		"disown": func() error { _, err := s.ActInstance(t.Context(), id, fleet.Disown, client.ActOptions{}); return err },
		"snapshot": func() error {
			_, err := s.ChangeSnapshot(t.Context(), id, fleet.SnapshotChange{Verb: fleet.TakeSnapshot, Name: "one"}, 0)
			return err
		},
	} {
		if err := ask(); fleet.CodeOf(err) != fleet.CodeConflict || !strings.Contains(err.Error(), "unrescue") {
			t.Errorf("%s of a rescued instance: got %v, want a conflict that names unrescue", what, err)
		}
	}
	_, err = s.DeleteImage(t.Context(), other.ID, s.id)
	code(t, err, fleet.CodeConflict) // it boots it
	accepted, err = s.UnrescueInstance(t.Context(), id, client.KeyedOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Rescue != "" || row.Power != fleet.PowerRunning || row.Fault != "" {
		t.Errorf("the row is %+v, want it as it was", row)
	}
	_, err = s.UnrescueInstance(t.Context(), id, client.KeyedOptions{})
	code(t, err, fleet.CodeConflict)
}

func TestRescueOfAStoppedInstanceEndsStoppedAlsoOverARestart(t *testing.T) {
	s := newSite(t, nil)
	id, other := s.stopped(), s.imported("rescuer", 1)
	gate := s.hypervisor.HoldNextBuild(simulated.BeforeDefine)
	defer gate.Release()
	if _, err := s.RescueInstance(t.Context(), id, fleet.Rescue{Image: "rescuer"}, client.KeyedOptions{}); err != nil {
		t.Fatal(err)
	}
	<-gate.Reached()
	s.restart()
	if row := s.running(id); row.Rescue != other.ID {
		t.Errorf("the row is %+v, want it rescued", row)
	}
	accepted, err := s.UnrescueInstance(t.Context(), id, client.KeyedOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Rescue != "" || row.Power != fleet.PowerStopped {
		t.Errorf("the row is %+v, want it stopped, as it was", row)
	}
}

func TestOnXenAnInstanceIsRescuedByAnImageOfItsKind(t *testing.T) {
	s := newSiteOn(t, simulated.Config{Hypervisor: fleet.Xen}, nil)
	id := s.built()
	was := s.row(id)
	content := []byte("a kernel")
	sum := sha256.Sum256(content)
	kernel := fleet.Image{Name: "rescuer", Files: []fleet.ImageFile{{Role: fleet.RoleKernel, SHA256: hex.EncodeToString(sum[:]), Bytes: int64(len(content))}}, Bytes: int64(len(content))}
	kernel.ID = fleet.ImageID(kernel.Files, "")
	if _, err := s.ImportImage(t.Context(), fleet.HostID{}, kernel, bytes.NewReader(content)); err != nil {
		t.Fatal(err)
	}
	_, err := s.RescueInstance(t.Context(), id, fleet.Rescue{Image: kernel.ID}, client.KeyedOptions{Wait: patience})
	code(t, err, fleet.CodeUnsupported)
	if err == nil || !strings.Contains(err.Error(), "boots a disk") || strings.Contains(err.Error(), drivers.ErrUnsupported.Error()) {
		t.Errorf("got %v, want words about the two images", err)
	}
	if row := s.row(id); row.Power != was.Power || row.Fault != "" {
		t.Errorf("the row is %+v, want it as it was", row)
	}
}
