package replica_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

func TestHintsAreReadAndStrangeOnesLeftOut(t *testing.T) {
	o := replica.NewOrigin(host(1))
	o.Begin(1, 7)
	hint := func(subject fleet.HostID, epoch, seq uint64) replica.OwnRow {
		heard := fleet.Version{Host: subject, Epoch: epoch, Seq: seq}
		return replica.OwnRow{Key: wire.HintKey(subject), Body: wire.EncodeHint(fleet.Hint{Subject: subject, Heard: heard})}
	}
	b, _, err := o.Next([]replica.OwnRow{
		row(1, 1),
		hint(host(2), 3, 4), hint(host(3), 1, 1),
		hint(host(1), 1, 1), // of itself
		{Key: wire.Key{Kind: wire.KindHint, ID: "short"}, Body: wire.EncodeHint(fleet.Hint{})},
		{Key: wire.HintKey(host(4)), Body: wire.Body{Core: []byte{0xff}}},
		{Key: wire.Key{Kind: wire.KindHint + 1, ID: "later"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []fleet.Hint{
		{Subject: host(2), Heard: fleet.Version{Host: host(2), Epoch: 3, Seq: 4}},
		{Subject: host(3), Heard: fleet.Version{Host: host(3), Epoch: 1, Seq: 1}},
	}
	slices.SortFunc(want, func(a, b fleet.Hint) int { return a.Subject.Compare(b.Subject) })
	if diff := cmp.Diff(want, slices.Collect(b.Hints())); diff != "" {
		t.Errorf("hints (-want +got):\n%s", diff)
	}
	for range b.Hints() {
		break // a reader may stop early
	}
}
