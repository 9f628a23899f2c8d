package wire

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"grapevine/fleet"
	"grapevine/mesh/wire/wirepb"
)

// KindHint is a row in an observer's block about a host that it no longer
// hears. Key: the subject's host id, 16 bytes.
const KindHint Kind = 4

// HintKey returns the key of an observer's hint about subject.
func HintKey(subject fleet.HostID) Key { return Key{KindHint, string(subject[:])} }

// EncodeHint returns the body of a hint's row. Its subject is the row's key.
// There is no time in it: a hint that stays as it was is not sent again.
func EncodeHint(h fleet.Hint) Body {
	return Body{Core: encode(&wirepb.Hint{Epoch: h.Heard.Epoch, Seq: h.Heard.Seq})}
}

// DecodeHint reads the body of a hint's row.
func DecodeHint(subject fleet.HostID, body []byte) (fleet.Hint, error) {
	var m wirepb.Hint
	if err := proto.Unmarshal(body, &m); err != nil {
		return fleet.Hint{}, fmt.Errorf("decode hint about host %s: %w", subject, err)
	}
	h := fleet.Hint{Subject: subject}
	if m.Epoch != 0 || m.Seq != 0 {
		h.Heard = fleet.Version{Host: subject, Epoch: m.Epoch, Seq: m.Seq}
	}
	return h, nil
}
