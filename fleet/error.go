package fleet

import "errors"

// Code is the stable word of an error: clients branch on it, people read the
// sentence beside it.
type Code string

// The error codes.
const (
	CodeBadRequest            Code = "bad_request"
	CodeInvalid               Code = "invalid"
	CodeUnknownFilter         Code = "unknown_filter"
	CodeTooLarge              Code = "too_large"
	CodeUnauthenticated       Code = "unauthenticated"
	CodeForbidden             Code = "forbidden"
	CodeNotFound              Code = "not_found"
	CodeMethodNotAllowed      Code = "method_not_allowed"
	CodeGone                  Code = "gone"
	CodeUnknownFlavor         Code = "unknown_flavor"
	CodeUnknownImage          Code = "unknown_image"
	CodeUnknownGroup          Code = "unknown_group"
	CodeUnknownKeyPair        Code = "unknown_key_pair"
	CodeAmbiguous             Code = "ambiguous"
	CodeNotManaged            Code = "not_managed"
	CodeBusy                  Code = "busy"
	CodeConflict              Code = "conflict"
	CodeSuperseded            Code = "superseded"
	CodeTwin                  Code = "twin"
	CodeQuarantined           Code = "quarantined"
	CodeRefused               Code = "refused"
	CodeUnsupported           Code = "unsupported"
	CodeKeyReused             Code = "idempotency_key_reused"
	CodeKeyHomeUnreachable    Code = "key_home_unreachable"
	CodeNameTaken             Code = "name_taken"
	CodeNoWitnesses           Code = "no_witnesses"
	CodeWitnessesDecide       Code = "witnesses_decide"
	CodeHostUnreachable       Code = "host_unreachable"
	CodeHypervisorUnreachable Code = "hypervisor_unreachable"
	CodeOutcomeUnknown        Code = "outcome_unknown"
	CodeNotReady              Code = "not_ready"
	CodeIssuerUnreachable     Code = "issuer_unreachable"
	CodeNotCurrent            Code = "not_current"
	CodeNoCA                  Code = "no_ca"
	CodeTooFewHolders         Code = "too_few_holders"
	CodeTooMany               Code = "too_many"
	CodeOutOfSpace            Code = "out_of_space"
	CodeMisdirected           Code = "misdirected"
	CodeInternal              Code = "internal"
)

// Error is an error that people and programs outside may see: a code, one
// sentence (what, where, what to do) and what belongs to it. The api package
// turns it into an RFC 9457 problem document, and api/client back into this.
type Error struct {
	Code   Code
	Detail string
	// Refusals and Host are set where one host refused: why, and its fresh row.
	Refusals []Refusal
	Host     *Host
	// Verdicts is set where no host fits: each with what it lacked.
	Verdicts []Verdict
	// Instance is the id that the error is about, where one was chosen.
	Instance InstanceID
	// Batch is set where no instance of a batch was made: why, of each.
	Batch *Batch
	// Candidates are the ids that an ambiguous name matched.
	Candidates []string
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Detail }

// Is makes errors.Is match by code, so that Error{Code: c} is a sentinel.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Detail == "" && t.Code == e.Code
}

// CodeOf returns err's code: that of the first Error in its chain, "" for
// none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
