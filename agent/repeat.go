package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"grapevine/fleet"
)

// hashOf tells one request from another that bears the same key. The values of
// requests are always JSON.
func hashOf(ask any) string {
	text, _ := json.Marshal(ask)
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// repeated answers a request that bears the key of an operation on this instance
// which is still kept, under way or ended: the same request is that operation,
// another one is refused.
func (a *Agent) repeated(id fleet.InstanceID, w *work) (accepted fleet.Accepted, known bool, err error) {
	if w.key == "" {
		return fleet.Accepted{}, false, nil
	}
	kept, err := a.journal.Operations()
	if err != nil {
		return fleet.Accepted{}, true, errorf(fleet.CodeInternal, "%v", err)
	}
	for _, op := range kept {
		switch {
		case op.Instance != id || op.Key != w.key:
		case op.Verb != w.verb || op.KeyHash != w.hash:
			return fleet.Accepted{}, true, &fleet.Error{
				Code: fleet.CodeKeyReused, Instance: id,
				Detail: "this idempotency key was used with another request; use another key for another request",
			}
		default:
			accepted = a.accepted(id, op.ID)
			return accepted, !accepted.Instance.ID.IsZero(), nil
		}
	}
	return fleet.Accepted{}, false, nil
}
