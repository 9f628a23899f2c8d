package agent_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"grapevine/api/client"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/exportfile"
	"grapevine/fleet"
)

// exported prepares an instance and reads its whole file, in two parts.
func (s *site) exported(id fleet.InstanceID) (fleet.PreparedExport, []byte) {
	s.t.Helper()
	accepted, err := s.ExportInstance(s.t.Context(), id, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	if op := s.endOf(accepted.Operation); op.State != fleet.OperationSucceeded {
		s.t.Fatalf("the operation is %+v", op)
	}
	prepared, err := s.Export(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	var file bytes.Buffer
	for _, part := range []fleet.ExportRange{{ID: prepared.ID, Length: 1000}, {ID: prepared.ID, Offset: 1000, Length: prepared.Bytes - 1000}} {
		r, err := s.ReadExport(s.t.Context(), id, part)
		if err != nil {
			s.t.Fatal(err)
		}
		_, err = io.Copy(&file, r)
		if err := errors.Join(err, r.Close()); err != nil {
			s.t.Fatal(err)
		}
	}
	return prepared, file.Bytes()
}

func TestExportIsTheInstanceWithAllOfItsDisks(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("of the first")
	s.attached(id, fleet.AttachRequest{Kind: fleet.DeviceDisk, SizeGiB: 3})
	if err := s.hypervisor.WriteDisk(id, "disk-1", 0, []byte("of the second")); err != nil {
		t.Fatal(err)
	}
	prepared, file := s.exported(id)
	v, err := exportfile.Verify(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	was := v.Instance
	if v.ID != prepared.ID || was.Name != "web" || was.VCPUs != 1 || was.MemoryMiB != 512 || was.Labels["tier"] != "front" || len(was.Networks) != 1 || was.Networks[0].MAC != "" {
		t.Errorf("manifest %+v", v.Export)
	}
	if len(v.Files) != 2 || v.Files[1].Device != "disk-1" || v.Files[1].SizeGiB != 3 {
		t.Fatalf("files %+v", v.Files)
	}
	for i, want := range []string{"of the first", "of the second"} {
		if content := file[v.Offsets[i] : v.Offsets[i]+v.Files[i].Bytes]; !strings.HasSuffix(string(content), want) {
			t.Errorf("disk %d holds %q, want %q", i, content, want)
		}
	}
	again, same := s.exported(id)
	if again.ID != prepared.ID || !bytes.Equal(file, same) {
		t.Error("exported again it is another file")
	}
	if err := s.DropExport(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	_, err = s.Export(t.Context(), id)
	code(t, err, fleet.CodeNotFound)
	s.wantNothingSpooled()
}

func TestPreparedExportStaysOverARestartAndGoesWithItsInstance(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	prepared, _ := s.exported(id)
	s.restart()
	if again, err := s.Export(t.Context(), id); err != nil || again.ID != prepared.ID || again.Bytes != prepared.Bytes {
		t.Errorf("after the restart it is %+v, %v", again, err)
	}
	_, err := s.ReadExport(t.Context(), id, fleet.ExportRange{ID: strings.Repeat("0", 64), Length: 1})
	code(t, err, fleet.CodeConflict)
	if _, err := s.DeleteInstance(t.Context(), id, patience); err != nil {
		t.Fatal(err)
	}
	s.until("it is gone", func() bool { return s.row(id) == nil })
	s.wantNothingSpooled()
}

func TestExportNeedsAStoppedInstance(t *testing.T) {
	s := newSite(t, nil)
	id := s.built()
	_, err := s.ExportInstance(t.Context(), id, 0)
	code(t, err, fleet.CodeConflict)
	_, err = s.Export(t.Context(), id)
	code(t, err, fleet.CodeNotFound)
}

func TestExportUnderWayIsJoinedAndGoesOnAfterARestart(t *testing.T) {
	s := newSite(t, nil)
	id := s.wrote("words")
	s.wrap = func(d *simulated.Driver) drivers.Driver { return &stuck{d} }
	s.restart()
	accepted, err := s.ExportInstance(t.Context(), id, 0)
	if err != nil {
		t.Fatal(err)
	}
	s.until("it is under way", func() bool {
		_, err := os.Stat(filepath.Join(s.cfg.DataDir, "images", "export-"+id.String(), "disk-0"))
		return err == nil
	})
	if joined, err := s.ExportInstance(t.Context(), id, 0); err != nil || joined.Operation != accepted.Operation {
		t.Errorf("asked again: operation %s, %v; want %s", joined.Operation, err, accepted.Operation)
	}
	code(t, s.DropExport(t.Context(), id), fleet.CodeBusy)
	s.wrap = nil
	s.restart()
	if op := s.endOf(accepted.Operation); op.State != fleet.OperationSucceeded {
		t.Errorf("the operation is %+v", op)
	}
	if _, err := s.ActInstance(t.Context(), id, fleet.Start, client.ActOptions{Wait: patience}); err != nil {
		t.Errorf("start it afterwards: %v", err)
	}
	if _, err := s.Export(t.Context(), id); err != nil {
		t.Error(err)
	}
}
