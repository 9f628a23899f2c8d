package netns_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"grapevine/test/netns"
)

// reaches reports whether packets go both ways: a port where nobody listens
// refuses at once, and where packets are lost there is silence.
func reaches(t *testing.T, from *netns.Host, to netip.Addr) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	err := from.Command(ctx, "bash", "-c", "exec 3<>/dev/tcp/"+to.String()+"/9").Run()
	return err != nil && ctx.Err() == nil
}

func TestCablesCarryUntilTheyArePulled(t *testing.T) {
	lab := netns.New(t)
	lab.Switch("left")
	lab.Switch("right")
	a := lab.Host("a", "left", netip.MustParsePrefix("10.77.1.1/16"))
	b := lab.Host("b", "left", netip.MustParsePrefix("10.77.1.2/16"))
	c := lab.Host("c", "right", netip.MustParsePrefix("10.77.2.1/16"))
	want := func(what string, from, to *netns.Host, expected bool) {
		t.Helper()
		got := reaches(t, from, to.Addr)
		for deadline := time.Now().Add(30 * time.Second); expected && !got && time.Now().Before(deadline); {
			got = reaches(t, from, to.Addr) // the kernel takes a second to use a new cable
		}
		if got != expected {
			t.Errorf("%s: %s reaches %s is %v", what, from.Addr, to.Addr, got)
		}
	}
	want("at first", a, c, true)
	lab.Unplug("right")
	want("unplugged", a, c, false)
	want("unplugged", a, b, true)
	lab.Plug("right")
	want("plugged again", c, a, true)
	a.Lose(1, netip.MustParsePrefix("10.77.2.0/24"))
	want("deaf to the right", c, a, false)
	want("deaf to the right", b, a, true)
	a.LoseNothing()
	want("hearing again", c, a, true)
	if n := a.Counters(); n.ReceivedPackets == 0 || n.SentBytes <= n.SentPackets {
		t.Errorf("the counters are %+v", n)
	}
}
