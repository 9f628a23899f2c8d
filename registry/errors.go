package registry

import (
	"errors"
	"fmt"
	"strings"

	"grapevine/api/client"
	"grapevine/fleet"
)

// mutationError turns the error of a mutation at a host into one that people
// may see. Where the request surely did not arrive, nothing was done; where no
// answer came, it may have been. A host's own errors stay as they are.
func mutationError(host string, id fleet.InstanceID, err error) error {
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return &fleet.Error{Code: fleet.CodeHostUnreachable, Instance: id, Detail: fmt.Sprintf("host %s cannot be reached, and nothing was done: %v", host, err)}
	case errors.Is(err, client.ErrOutcomeUnknown):
		return outcomeUnknown(host, id, err)
	default:
		return err
	}
}

// outcomeUnknown is the error of a mutation that may have been done.
func outcomeUnknown(host string, id fleet.InstanceID, err error) error {
	e := &fleet.Error{Code: fleet.CodeOutcomeUnknown, Instance: id}
	if id.IsZero() {
		e.Detail = fmt.Sprintf("host %s was asked and did not answer; it may have been done: look before you ask again (%v)", host, err)
	} else {
		e.Detail = fmt.Sprintf("host %s was asked and did not answer; it may have been done: look at instance %s before you ask again; a create with an Idempotency-Key may be sent again as it was (%v)", host, id, err)
	}
	return e
}

// keyHomeUnreachable is the error of a keyed create whose key's home cannot
// say who may have the key. Nobody else may: so nothing is done.
func keyHomeUnreachable(home string, id fleet.InstanceID, err error) error {
	return &fleet.Error{
		Code: fleet.CodeKeyHomeUnreachable, Instance: id,
		Detail: fmt.Sprintf("host %s, which keeps this Idempotency-Key, cannot be asked, so no instance was proposed to any host; send the same request again later, or use another key (%v)", home, err),
	}
}

// refusal is the error of a request that no host takes.
func refusal(what string, verdicts []fleet.Verdict) error {
	e := &fleet.Error{Code: fleet.CodeRefused, Verdicts: verdicts}
	if len(verdicts) == 0 {
		e.Detail = what + ": this registry has not heard of any host; start an agent, or look at: grapevine mesh members"
		return e
	}
	const shown = 8
	reasons := make([]string, 0, shown+1)
	for i, v := range verdicts {
		if i == shown {
			reasons = append(reasons, fmt.Sprintf("and %d more hosts", len(verdicts)-shown))
			break
		}
		reasons = append(reasons, v.String())
	}
	e.Detail = what + ". " + strings.Join(reasons, ". ")
	return e
}
