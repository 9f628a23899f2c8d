package registry

import (
	"testing"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
)

func TestRegistryThatIsMadeToLeaveEndsWithoutAnError(t *testing.T) {
	w := newWorld(t, 0)
	cfg, deps := testConfig(w)
	r, err := New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- r.Run(t.Context()) }()
	c, err := client.New("http://"+r.Addr(), client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var got fleet.Member
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if got, err = c.Leave(t.Context()); err == nil {
			break // it has begun to take part
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	if got.ID != deps.Identity.Subject().ID || got.Role != fleet.RoleRegistry || got.Status != fleet.MemberLeft {
		t.Errorf("got %+v, want the member that has left", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}
