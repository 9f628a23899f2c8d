package wire_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"grapevine/fleet"
	"grapevine/mesh/wire"
)

func TestHintSurvivesTheWire(t *testing.T) {
	subject := fleet.UUID{3}
	for _, want := range []fleet.Hint{
		{Subject: subject, Heard: fleet.Version{Host: subject, Epoch: 7, Seq: 1 << 40}},
		{Subject: subject}, // nothing was ever heard of it
	} {
		body := wire.EncodeHint(want)
		got, err := wire.DecodeHint(subject, body.Bytes())
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if len(body.Bytes()) > 16 {
			t.Errorf("a hint takes %d bytes, want no more than two numbers", len(body.Bytes()))
		}
	}
	if got, want := wire.HintKey(subject), (wire.Key{Kind: wire.KindHint, ID: string(subject[:])}); got != want {
		t.Errorf("key %v, want %v", got, want)
	}
}

func TestHintThatIsNoMessageIsAnError(t *testing.T) {
	if h, err := wire.DecodeHint(fleet.UUID{3}, []byte{0xff}); err == nil {
		t.Errorf("got %+v", h)
	}
}
