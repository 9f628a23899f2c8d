package crowd

import (
	"net"
	"testing"
)

func TestNobodyTakesAllTheRoom(t *testing.T) {
	at := func(s string) net.Addr {
		addr, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return addr
	}
	c := &Crowd{All: 5, Each: 2}
	for _, step := range []struct {
		addr string
		want bool
	}{
		{"192.0.2.1:1000", true},
		{"192.0.2.1:1001", true},
		{"192.0.2.1:1002", false},
		{"[::ffff:192.0.2.1]:1003", false}, // the same, written otherwise
		{"[2001:db8::1]:1", true},
		{"[2001:db8::2]:1", true},
		{"[2001:db8::3]:1", false}, // one /64 is one home
		{"[2001:db8:0:1::1]:1", true},
		{"192.0.2.2:1", false}, // all room is taken
	} {
		if got := c.Enter(at(step.addr)); got != step.want {
			t.Errorf("%s: let in %v, want %v", step.addr, got, step.want)
		}
	}
	c.Leave(at("192.0.2.1:1000"))
	if !c.Enter(at("192.0.2.2:1")) || c.Inside() != 5 {
		t.Errorf("nobody came in for one who left; inside are %d", c.Inside())
	}
	for _, addr := range []string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8::1]:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1"} {
		c.Leave(at(addr))
	}
	if c.Inside() != 0 || len(c.from) != 0 {
		t.Errorf("all have left, and there are %d of %v", c.Inside(), c.from)
	}
	unix := &net.UnixAddr{Name: "@"}
	for i, want := range []bool{true, true, false} {
		if got := c.Enter(unix); got != want {
			t.Errorf("number %d on a unix socket: let in %v, want %v", i+1, got, want)
		}
	}
}
