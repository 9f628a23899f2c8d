package agent_test

import (
	"testing"
	"time"

	"grapevine/agent"
	"grapevine/drivers"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
)

// findings are what verify finds, by type.
func (s *site) findings() map[fleet.FindingType][]fleet.InstanceID {
	s.t.Helper()
	found, err := s.Verify(s.t.Context())
	if err != nil || found.Coverage != (fleet.Coverage{Heard: 1, Known: 1}) {
		s.t.Fatalf("got %+v, %v", found, err)
	}
	out := map[fleet.FindingType][]fleet.InstanceID{}
	for _, f := range found.Items {
		if f.What == "" || f.Do == "" || f.HostName != "host-1" {
			s.t.Errorf("got %+v; want what it is, where, and what to do", f)
		}
		out[f.Type] = append(out[f.Type], f.Instance)
	}
	return out
}

// only fails unless there is one finding, of this type and about this instance.
func (s *site) only(kind fleet.FindingType, id fleet.InstanceID) {
	s.t.Helper()
	if got := s.findings(); len(got) != 1 || len(got[kind]) != 1 || got[kind][0] != id {
		s.t.Errorf("got %v, want one %s, of %s", got, kind, id)
	}
}

func TestVerifyFindsNothingWhereAllAddsUp(t *testing.T) {
	s := newSite(t, nil)
	s.inhabit(2)
	if _, err := s.hypervisor.Define(simulated.Foreign{Name: "legacy", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64, DiskGiB: 1}}); err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is listed", func() bool { return s.host().Instances == 3 })
	if got := s.findings(); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}

func TestVerifyFindsGhostsAndMachinesThatAreNotListed(t *testing.T) {
	s := newSite(t, func(c *agent.Config) { c.ListEvery = time.Hour })
	id := s.inhabit(1)[0]
	s.hypervisor.LoseEvents(true)
	if err := s.hypervisor.Remove(id); err != nil {
		t.Fatal(err)
	}
	s.only(fleet.FindGhost, id)
	if s.row(id) == nil {
		t.Error("verify has changed what it looked at")
	}
	if _, err := s.FreshInstance(t.Context(), id); fleet.CodeOf(err) != fleet.CodeNotFound { // what the finding says is to be done
		t.Fatal(err)
	}
	legacy, err := s.hypervisor.Define(simulated.Foreign{Name: "legacy", Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}})
	if err != nil {
		t.Fatal(err)
	}
	s.only(fleet.FindUnlisted, legacy)
}

func TestVerifyFindsDisksThatBelongToNoMachine(t *testing.T) {
	s := newSite(t, nil)
	s.inhabit(1)
	lost := fleet.UUID{0xbb, 7}
	s.hypervisor.LeakDisk(lost, 4)
	s.only(fleet.FindLeakedDisk, lost)
}

func TestVerifyFindsMachinesThatWereDeletedHere(t *testing.T) {
	s := newSite(t, nil)
	id := s.inhabit(1)[0]
	if _, err := s.DeleteInstance(t.Context(), id, patience); err != nil {
		t.Fatal(err)
	}
	image, _ := tiny()
	driver := s.hypervisor.Connect()
	defer driver.Close()
	if err := driver.Build(t.Context(), drivers.Spec{ // as after a restore from a backup
		Mark: drivers.Mark{ID: id, Name: "web", Project: "default"}, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 64}, Image: image,
	}); err != nil {
		t.Fatal(err)
	}
	s.until("it is listed", func() bool { return s.row(id) != nil })
	s.only(fleet.FindOrphan, id)
}

func TestVerifyFindsClaimsWithoutMachines(t *testing.T) {
	s := newSite(t, nil)
	s.hypervisor.FailNextBuild(simulated.BeforeDefine)
	p := proposal(1, 128)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.until("the build has failed", func() bool { row := s.row(p.ID); return row.Task == fleet.TaskNone && row.Fault != "" })
	s.only(fleet.FindClaim, p.ID)
}

func TestVerifySaysWhichHostsCouldNotBeAsked(t *testing.T) {
	s := newSite(t, nil)
	s.inhabit(1)
	s.hypervisor.Cut()
	defer s.hypervisor.Restore()
	found, err := s.Verify(t.Context())
	if err != nil || len(found.Items) != 1 || found.Items[0].Type != fleet.FindNotAsked || found.Coverage != (fleet.Coverage{Heard: 0, Known: 1}) || found.Faults() != 1 {
		t.Errorf("got %+v, %v; want the host not asked", found, err)
	}
	_, err = s.VerifyHost(t.Context(), s.id)
	code(t, err, fleet.CodeHypervisorUnreachable)
}
