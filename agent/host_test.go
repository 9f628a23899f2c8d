package agent_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"grapevine/agent"
	"grapevine/api"
	"grapevine/api/client"
	"grapevine/drivers/simulated"
	"grapevine/fleet"
	"grapevine/identity"
)

func TestForeignMachineIsCountedAndRefusesWritesUntilAdopted(t *testing.T) {
	s := newSite(t, nil)
	id, err := s.hypervisor.Define(simulated.Foreign{
		Name: "legacy", Running: true, Resources: fleet.Resources{VCPUs: 1, MemoryMiB: 1024, DiskGiB: 5},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.until("the foreign machine is seen", func() bool { return s.row(id) != nil })
	if row := s.row(id); row.Ownership != fleet.Foreign || row.Name != "legacy" {
		t.Errorf("got %+v, want it foreign", row)
	}
	if free := s.host().Capacity.MemoryMiB.Free; free != 3072 {
		t.Errorf("got %d MiB free, want 3072", free)
	}
	_, err = s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{})
	code(t, err, fleet.CodeNotManaged)
	_, err = s.DeleteInstance(t.Context(), id, 0)
	code(t, err, fleet.CodeNotManaged)

	accepted, err := s.ActInstance(t.Context(), id, fleet.Adopt, client.ActOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Ownership != fleet.Managed || row.Power != fleet.PowerRunning {
		t.Errorf("got %+v after adopt, want it managed and still running", row)
	}
	if _, err := s.ActInstance(t.Context(), id, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Errorf("stop after adopt: %v", err)
	}
}

func TestDisownedMachineGoesOnAndIsCountedAsForeign(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	free := s.host().Capacity.MemoryMiB.Free
	accepted, err := s.ActInstance(t.Context(), p.ID, fleet.Disown, client.ActOptions{Wait: patience})
	if err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Ownership != fleet.Foreign || row.Power != fleet.PowerRunning || row.Task != fleet.TaskNone {
		t.Errorf("got %+v after disown, want it foreign and still running", row)
	}
	if got := s.host().Capacity.MemoryMiB.Free; got != free {
		t.Errorf("got %d MiB free after disown, want %d: a foreign machine counts", got, free)
	}
	_, err = s.ActInstance(t.Context(), p.ID, fleet.Disown, client.ActOptions{})
	code(t, err, fleet.CodeConflict)
	_, err = s.DeleteInstance(t.Context(), p.ID, 0)
	code(t, err, fleet.CodeNotManaged)
	_, err = s.Claim(t.Context(), p) // the request that made it does not make it twice
	code(t, err, fleet.CodeRefused)

	s.restart()
	if accepted, err = s.ActInstance(t.Context(), p.ID, fleet.Adopt, client.ActOptions{Wait: patience}); err != nil {
		t.Fatal(err)
	}
	if row := accepted.Instance; row.Ownership != fleet.Managed || row.Power != fleet.PowerRunning {
		t.Errorf("got %+v after adopt, want it managed again", row)
	}
	if _, err := s.DeleteInstance(t.Context(), p.ID, patience); err != nil {
		t.Errorf("delete after adopt: %v", err)
	}
}

// A flavor says how large the first disk is: the mark must not take all for it.
func TestAdoptedMachineHasTheSizeOfItsFirstDiskInItsMark(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	p.Disks, p.DiskGiB = []fleet.Disk{{SizeGiB: 3}}, 5
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	for _, action := range []fleet.InstanceAction{fleet.Disown, fleet.Adopt} {
		if accepted, err := s.ActInstance(t.Context(), p.ID, action, client.ActOptions{Wait: patience}); err != nil || accepted.Instance.DiskGiB != 5 {
			t.Fatalf("%s: got %+v, %v; want it to have 5 GiB of disks", action, accepted.Instance, err)
		}
	}
	for _, m := range s.hypervisor.Machines() {
		if m.ID == p.ID && m.Mark.DiskGiB != 2 {
			t.Errorf("got %d GiB in the mark, want the first disk's 2", m.Mark.DiskGiB)
		}
	}
}

func TestMachineStoppedBehindTheAgentsBackIsNotStartedAgain(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	if err := s.hypervisor.PowerOff(p.ID); err != nil {
		t.Fatal(err)
	}
	s.until("the power-off is seen", func() bool { return s.row(p.ID).Power == fleet.PowerStopped })
	s.restart()
	if row := s.row(p.ID); row.Power != fleet.PowerStopped || row.Task != fleet.TaskNone {
		t.Errorf("got %q and task %q after a restart, want it left stopped", row.Power, row.Task)
	}
}

func TestSilentHypervisorIsNeverReadAsStopped(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	s.hypervisor.Cut()
	s.until("the fault is seen", func() bool { return s.host().Reachability == fleet.ReachHypervisorUnreachable })
	row := s.row(p.ID)
	if row.Power != fleet.PowerRunning || row.Reachability != fleet.ReachHypervisorUnreachable {
		t.Errorf("got %q, %q; want running as last seen, marked", row.Power, row.Reachability)
	}
	_, err := s.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{})
	code(t, err, fleet.CodeHypervisorUnreachable)
	_, err = s.Claim(t.Context(), proposal(2, 512))
	code(t, err, fleet.CodeRefused)
	s.hypervisor.Restore()
	s.until("the hypervisor is back", func() bool { return s.host().Reachability == fleet.ReachOK })
	if got := s.row(p.ID); got.Power != fleet.PowerRunning || got.Reachability != fleet.ReachOK {
		t.Errorf("got %q, %q after its return", got.Power, got.Reachability)
	}
}

// A host that comes back with a broken hypervisor shows what it last saw.
func TestRestartWithASilentHypervisorShowsWhatWasLastSeen(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	s.stop()
	s.hypervisor.Cut()
	s.start()
	row := s.row(p.ID)
	if row == nil || row.Power != fleet.PowerRunning || row.Reachability != fleet.ReachHypervisorUnreachable {
		t.Errorf("got %+v; want it running as last seen, marked", row)
	}
	s.hypervisor.Restore()
	s.until("the hypervisor is back", func() bool { return s.host().Reachability == fleet.ReachOK })
}

func TestOneOperationAtATimeOnAnInstance(t *testing.T) {
	s := newSite(t, nil)
	gate := s.hypervisor.HoldNextBuild(simulated.BeforeDefine)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	<-gate.Reached()
	_, err := s.DeleteInstance(t.Context(), p.ID, 0)
	code(t, err, fleet.CodeBusy)
	gate.Release()
	s.running(p.ID)
}

func TestActionsChangeThePowerThatIsSeen(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	for _, c := range []struct {
		action fleet.InstanceAction
		want   fleet.Power
	}{
		{fleet.Pause, fleet.PowerPaused},
		{fleet.Resume, fleet.PowerRunning},
		{fleet.Reboot, fleet.PowerRunning},
		{fleet.Stop, fleet.PowerStopped},
		{fleet.Stop, fleet.PowerStopped},
		{fleet.Start, fleet.PowerRunning},
	} {
		accepted, err := s.ActInstance(t.Context(), p.ID, c.action, client.ActOptions{Wait: patience})
		if err != nil {
			t.Fatalf("%s: %v", c.action, err)
		}
		if row := accepted.Instance; row.Power != c.want || row.Task != fleet.TaskNone || row.Fault != "" {
			t.Errorf("%s: got %q, task %q, fault %q; want %q", c.action, row.Power, row.Task, row.Fault, c.want)
		}
	}
}

func TestCordonSurvivesARestart(t *testing.T) {
	s := newSite(t, nil)
	if _, err := s.ActHost(t.Context(), fleet.UUID{1}, fleet.Cordon); err != nil {
		t.Fatal(err)
	}
	s.restart()
	_, err := s.Claim(t.Context(), proposal(1, 512))
	code(t, err, fleet.CodeRefused)
	if _, err := s.ActHost(t.Context(), fleet.UUID{1}, fleet.Uncordon); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), proposal(2, 512)); err != nil {
		t.Errorf("refused after uncordon: %v", err)
	}
}

// A host whose storage something else has filled says so, and is left out, instead
// of promising what it cannot build.
func TestHostWhoseStorageIsFullTakesNothingNew(t *testing.T) {
	s := newSite(t, nil)
	s.hypervisor.FillStorage(true)
	s.until("that it is full is seen", func() bool {
		h := s.host()
		return h.HasTrait(fleet.TraitStorageFull)
	})
	_, err := s.Claim(t.Context(), proposal(1, 512))
	code(t, err, fleet.CodeRefused)
	e, ok := errors.AsType[*fleet.Error](err)
	if !ok || len(e.Refusals) != 1 || e.Refusals[0].Code != fleet.RefuseStorage {
		t.Fatalf("got %+v, want the one refusal storage", err)
	}
	if e.Host == nil || !e.Host.HasTrait(fleet.TraitStorageFull) {
		t.Errorf("the row in the answer is %+v", e.Host)
	}
	s.hypervisor.FillStorage(false)
	s.until("that it has room is seen", func() bool {
		h := s.host()
		return !h.HasTrait(fleet.TraitStorageFull)
	})
	if _, err := s.Claim(t.Context(), proposal(2, 512)); err != nil {
		t.Errorf("refused with room in the storage: %v", err)
	}
}

func TestHostInMaintenanceTakesNothingNew(t *testing.T) {
	s := newSite(t, nil)
	p := proposal(1, 512)
	if _, err := s.Claim(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	s.running(p.ID)
	s.hypervisor.Maintain(true)
	s.until("the maintenance is seen", func() bool { return s.host().State == fleet.HostMaintenance })
	_, err := s.Claim(t.Context(), proposal(2, 512))
	code(t, err, fleet.CodeRefused)
	if e, ok := errors.AsType[*fleet.Error](err); !ok || len(e.Refusals) != 1 || e.Refusals[0].Code != fleet.RefuseMaintenance {
		t.Errorf("got %+v, want the one refusal maintenance", err)
	}
	if row := s.row(p.ID); row.Power != fleet.PowerRunning {
		t.Errorf("what ran is %s", row.Power)
	}
	if _, err := s.ActInstance(t.Context(), p.ID, fleet.Stop, client.ActOptions{Force: true, Wait: patience}); err != nil {
		t.Errorf("stop: %v", err)
	}
	_, err = s.ActInstance(t.Context(), p.ID, fleet.Start, client.ActOptions{})
	code(t, err, fleet.CodeRefused)
	s.hypervisor.Maintain(false)
	s.until("its end is seen", func() bool { return s.host().State == fleet.HostOK })
	if _, err := s.Claim(t.Context(), proposal(3, 512)); err != nil {
		t.Errorf("refused after the maintenance: %v", err)
	}
}

func TestKeyIsGivenOnceAndKeptAfterARestart(t *testing.T) {
	s := newSite(t, nil)
	id := fleet.UUID{7}
	first := fleet.KeyRecord{Instance: id, RequestHash: strings.Repeat("a", 64), Host: fleet.UUID{1}, Attempt: 1}
	answer, err := s.ChangeKey(t.Context(), id, fleet.KeyChange{Record: first})
	if err != nil || !answer.Stored {
		t.Fatalf("got %+v, %v; want it stored", answer, err)
	}
	s.restart()
	rival := first
	rival.Host = fleet.UUID{2}
	answer, err = s.ChangeKey(t.Context(), id, fleet.KeyChange{Record: rival})
	if err != nil || answer.Stored || answer.Record != first {
		t.Errorf("got %+v, %v; want the first record", answer, err)
	}
	swap := fleet.KeyRecord{Instance: id, RequestHash: strings.Repeat("a", 64), Host: fleet.UUID{2}, Attempt: 2}
	if answer, err = s.ChangeKey(t.Context(), id, fleet.KeyChange{Record: swap, IfAttempt: 1}); err != nil || !answer.Stored {
		t.Errorf("got %+v, %v; want the swap stored", answer, err)
	}
	_, err = s.Key(t.Context(), fleet.UUID{8})
	code(t, err, fleet.CodeNotFound)
}

// A registry that stored the record and did not reach this host may move the
// instance to another one, as long as nobody has taken the record over.
func TestKeyedCreateAtTheAgentTakesTheKeyOver(t *testing.T) {
	s := newSite(t, nil)
	id := fleet.KeyedInstanceID(fleet.DefaultProject, "order-7")
	hash := strings.Repeat("a", 64)
	registrys := fleet.KeyRecord{Instance: id, RequestHash: hash, Host: fleet.UUID{1}, Attempt: 1}
	if answer, err := s.ChangeKey(t.Context(), id, fleet.KeyChange{Record: registrys}); err != nil || !answer.Stored {
		t.Fatalf("got %+v, %v; want it stored", answer, err)
	}
	create := api.CreateInstance{Create: fleet.Create{Name: "web", Flavor: "nano", Image: "tiny"}, Key: "order-7", Hash: hash}
	if accepted, err := s.agent.CreateInstance(t.Context(), create); err != nil || accepted.Instance.ID != id {
		t.Fatalf("got %+v, %v; want instance %s accepted", accepted, err, id)
	}
	moved := registrys
	moved.Host, moved.Attempt = fleet.UUID{2}, 2
	answer, err := s.ChangeKey(t.Context(), id, fleet.KeyChange{Record: moved, IfAttempt: 1})
	if err != nil || answer.Stored || answer.Record.Host != (fleet.UUID{1}) {
		t.Errorf("got %+v, %v; want the move refused, because the instance is here", answer, err)
	}
	if _, err := s.agent.CreateInstance(t.Context(), create); err != nil {
		t.Errorf("sent again: %v", err)
	}
	s.running(id)
	if n := len(s.hypervisor.Machines()); n != 1 {
		t.Errorf("got %d machines, want 1", n)
	}
	create.Hash = strings.Repeat("b", 64)
	_, err = s.agent.CreateInstance(t.Context(), create)
	code(t, err, fleet.CodeKeyReused)
}

func TestProof08CopiedDiskOnOtherHardwareIsRefused(t *testing.T) {
	s := newSite(t, nil)
	s.stop()
	original := s.hypervisor
	other, err := simulated.New(simulated.Config{Hardware: "board-2"})
	if err != nil {
		t.Fatal(err)
	}
	s.hypervisor = other
	_, err = s.make(nil)
	if err == nil || !strings.Contains(err.Error(), "other hardware") {
		t.Errorf("got %v, want to be told that the journal is of other hardware", err)
	}
	s.hypervisor = original
	s.start()
}

// An operator's word restores the identity of a host with a new board, and of
// no other machine.
func TestProof08HostWithANewBoardIsItselfByAnOperatorsWord(t *testing.T) {
	s := newSite(t, nil)
	before, err := s.hypervisor.Connect().Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.stop()
	for _, board := range []struct{ is, replaces, refused string }{
		{is: "board-2", replaces: "", refused: fmt.Sprintf("replaces_hardware = %q", before.Hardware)},
		{is: "board-2", replaces: "board-9", refused: "other hardware"},
		{is: "board-2", replaces: before.Hardware},
		{is: "board-2", replaces: before.Hardware}, // it may stay in agent.toml
		{is: "board-3", replaces: before.Hardware, refused: "other hardware"},
	} {
		if s.hypervisor, err = simulated.New(simulated.Config{Hardware: board.is}); err != nil {
			t.Fatal(err)
		}
		s.cfg.ReplacesHardware = board.replaces
		if board.refused == "" {
			s.start()
			s.stop()
			continue
		}
		if _, err := s.make(nil); err == nil || !strings.Contains(err.Error(), board.refused) {
			t.Errorf("%+v: got %v", board, err)
		}
	}
}

func TestJournalOfAnotherHostIsRefused(t *testing.T) {
	s := newSite(t, nil)
	s.stop()
	own := s.own
	s.own = s.issue(identity.Agent, fleet.UUID{2})
	_, err := s.make(nil)
	if err == nil || !strings.Contains(err.Error(), "journal") {
		t.Errorf("got %v, want to be told that the journal is another host's", err)
	}
	s.own = own
	s.start()
}

func TestPortInUseIsSaidInOneSentence(t *testing.T) {
	s := newSite(t, nil)
	second := &site{t: t, hypervisor: s.hypervisor, cfg: s.cfg, own: s.own, key: s.key}
	second.cfg.DataDir = t.TempDir()
	second.cfg.Listen = s.agent.Addr()
	_, err := second.make(nil)
	if err == nil || !strings.Contains(err.Error(), "in use") || strings.Contains(err.Error(), "\n") {
		t.Errorf("got %v, want one sentence that says the port is in use", err)
	}
}

func TestBadConfigurationNamesItsKey(t *testing.T) {
	for _, c := range []struct {
		key    string
		change func(*agent.Config)
	}{
		{"list_every", func(c *agent.Config) { c.ListEvery = 0 }},
		{"overcommit_memory", func(c *agent.Config) { c.OvercommitMemory = -1 }},
		{"reserve_disk_gib", func(c *agent.Config) { c.ReserveDiskGiB = -1 }},
		{"overcommit_disk", func(c *agent.Config) { c.OvercommitDisk = 101 }},
		{"reserve_vcpus", func(c *agent.Config) { c.ReserveVCPUs = -1 }},
		{"labels", func(c *agent.Config) { c.Labels = map[string]string{"rack": "a\nb"} }},
		{"zone", func(c *agent.Config) { c.Zone = "a\nb" }},
		{"flavors", func(c *agent.Config) { c.Flavors = append(c.Flavors, c.Flavors[0]) }},
		{"listen", func(c *agent.Config) { c.Listen = "" }},
	} {
		cfg := agent.Default()
		c.change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.key) {
			t.Errorf("got %v, want the key %s named", err, c.key)
		}
	}
}

// Restarted inside a partition, an agent holds no block but its own, and would
// be every key's home.
func TestAgentThatHasNotHeardTheFleetGivesNoKeyAway(t *testing.T) {
	s := newSite(t, func(c *agent.Config) { c.Join = []string{"127.0.0.1:1"} })
	_, err := s.CreateInstance(t.Context(), fleet.Create{Name: "web", Flavor: "nano", Image: "tiny"}, client.CreateOptions{Key: "k"})
	code(t, err, fleet.CodeNotReady)
}

func TestHardwareIsTheHostsAndNamesIt(t *testing.T) {
	s := newSite(t, nil)
	host := s.host()
	hw, err := s.Hardware(t.Context(), host.ID)
	if err != nil {
		t.Fatal(err)
	}
	if hw.Host != host.ID || hw.CPU.Model != "simulated" || len(hw.Pools) != 1 {
		t.Errorf("got %+v, want what the simulated host is made of, and its id", hw)
	}
	_, err = s.Hardware(t.Context(), fleet.HostID{0xee})
	code(t, err, fleet.CodeNotFound)
}
