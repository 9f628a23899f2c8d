package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"grapevine/fleet"
)

// problemType is the media type of errors, RFC 9457.
const problemType = "application/problem+json"

// problem is the document that every error becomes. Code is what programs
// branch on; it never changes its meaning. Detail is one sentence for people.
type problem struct {
	Type       string           `json:"type" doc:"urn:grapevine:problem: and the code"`
	Title      string           `json:"title" doc:"what the code means"`
	Status     int              `json:"status" doc:"the HTTP status again"`
	Code       fleet.Code       `json:"code" doc:"stable; branch on this"`
	Detail     string           `json:"detail" doc:"what, where and what to do, in one sentence"`
	Refusals   []fleet.Refusal  `json:"refusals,omitempty" doc:"why the one host refused"`
	Host       *fleet.Host      `json:"host,omitempty" doc:"that host's fresh row"`
	Verdicts   []fleet.Verdict  `json:"verdicts,omitempty" doc:"what each host of the fleet lacked"`
	Instance   fleet.InstanceID `json:"instance,omitzero" doc:"id of the instance that the error is about"`
	Candidates []string         `json:"candidates,omitempty" doc:"ids that an ambiguous name matched"`
	Batch      *fleet.Batch     `json:"batch,omitempty" doc:"what became of each instance of a batch of which none was made"`
}

// kinds is the one table from codes to statuses and titles.
var kinds = map[fleet.Code]struct {
	status int
	title  string
}{
	fleet.CodeBadRequest:            {http.StatusBadRequest, "malformed request"},
	fleet.CodeUnknownFilter:         {http.StatusBadRequest, "unknown query parameter"},
	fleet.CodeUnauthenticated:       {http.StatusUnauthorized, "credentials needed"},
	fleet.CodeForbidden:             {http.StatusForbidden, "not allowed"},
	fleet.CodeNotFound:              {http.StatusNotFound, "not found"},
	fleet.CodeMethodNotAllowed:      {http.StatusMethodNotAllowed, "method not allowed"},
	fleet.CodeGone:                  {http.StatusGone, "deleted"},
	fleet.CodeAmbiguous:             {http.StatusConflict, "ambiguous name"},
	fleet.CodeNotManaged:            {http.StatusConflict, "instance is foreign"},
	fleet.CodeBusy:                  {http.StatusConflict, "instance is busy"},
	fleet.CodeConflict:              {http.StatusConflict, "conflict"},
	fleet.CodeSuperseded:            {http.StatusConflict, "another host's copy of the instance counts"},
	fleet.CodeTwin:                  {http.StatusConflict, "two copies of the instance run"},
	fleet.CodeQuarantined:           {http.StatusConflict, "host is quarantined"},
	fleet.CodeNameTaken:             {http.StatusConflict, "another instance has this name"},
	fleet.CodeRefused:               {http.StatusConflict, "refused by the hosts"},
	fleet.CodeHostUnreachable:       {http.StatusConflict, "host cannot be reached"},
	fleet.CodeTooLarge:              {http.StatusRequestEntityTooLarge, "request too large"},
	fleet.CodeMisdirected:           {http.StatusMisdirectedRequest, "wrong node"},
	fleet.CodeInvalid:               {http.StatusUnprocessableEntity, "invalid value"},
	fleet.CodeUnknownFlavor:         {http.StatusUnprocessableEntity, "unknown flavor"},
	fleet.CodeUnknownImage:          {http.StatusUnprocessableEntity, "unknown image"},
	fleet.CodeUnknownGroup:          {http.StatusUnprocessableEntity, "unknown server group"},
	fleet.CodeUnknownKeyPair:        {http.StatusUnprocessableEntity, "unknown key pair"},
	fleet.CodeKeyReused:             {http.StatusUnprocessableEntity, "idempotency key used for another request"},
	fleet.CodeUnsupported:           {http.StatusUnprocessableEntity, "not supported"},
	fleet.CodeTooMany:               {http.StatusTooManyRequests, "too many at once"},
	fleet.CodeInternal:              {http.StatusInternalServerError, "internal error"},
	fleet.CodeKeyHomeUnreachable:    {http.StatusServiceUnavailable, "home of the idempotency key cannot be reached"},
	fleet.CodeNoWitnesses:           {http.StatusServiceUnavailable, "no majority of the witnesses"},
	fleet.CodeWitnessesDecide:       {http.StatusServiceUnavailable, "witnesses decide about keys"},
	fleet.CodeHypervisorUnreachable: {http.StatusServiceUnavailable, "hypervisor does not answer"},
	fleet.CodeNoCA:                  {http.StatusConflict, "the node holds no CA"},
	fleet.CodeTooFewHolders:         {http.StatusServiceUnavailable, "too few agents hold the record"},
	fleet.CodeIssuerUnreachable:     {http.StatusServiceUnavailable, "OpenID provider does not answer"},
	fleet.CodeNotReady:              {http.StatusServiceUnavailable, "node is not ready"},
	fleet.CodeNotCurrent:            {http.StatusServiceUnavailable, "no answer is as fresh as was asked for"},
	fleet.CodeOutcomeUnknown:        {http.StatusGatewayTimeout, "outcome unknown"},
	fleet.CodeOutOfSpace:            {http.StatusInsufficientStorage, "out of space"},
}

// errInternal is what outsiders learn of an error that nobody gave a code.
var errInternal = &fleet.Error{Code: fleet.CodeInternal, Detail: "this node made a mistake; its log says which, under the path of this request"}

// problemOf turns any error into its document. An error without a code is not
// for outsiders: they are told to look into the log.
func problemOf(err error) *problem {
	var e *fleet.Error
	if !errors.As(err, &e) {
		e = errInternal
	}
	kind, known := kinds[e.Code]
	if !known {
		kind = kinds[fleet.CodeInternal]
	}
	p := &problem{
		Type: "urn:grapevine:problem:" + string(e.Code), Title: kind.title, Status: kind.status,
		Code: e.Code, Detail: e.Detail, Refusals: e.Refusals, Verdicts: e.Verdicts,
		Instance: e.Instance, Candidates: e.Candidates, Batch: e.Batch,
	}
	if e.Host != nil {
		host := presentHost(*e.Host)
		p.Host = &host
	}
	return p
}

// Error implements error.
func (p *problem) Error() string { return p.Detail }

// GetStatus implements huma.StatusError.
func (p *problem) GetStatus() int { return p.Status }

// retryAfter is for how many seconds a client does well to wait where a later
// try may succeed: a mesh that lags has caught up by then.
const retryAfter = "1"

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	if p.Status != http.StatusServiceUnavailable && p.Status != http.StatusTooManyRequests {
		return nil
	}
	return http.Header{"Retry-After": {retryAfter}}
}

// ContentType implements huma.ContentTypeFilter.
func (p *problem) ContentType(string) string { return problemType }

// write sends the document outside huma.
func (p *problem) write(w http.ResponseWriter) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("problem %s does not encode: %v", p.Code, err))
	}
	maps.Copy(w.Header(), p.GetHeaders())
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client is gone: there is nobody to tell
}

// problemOfHuma puts what huma found wrong with a request into our shape. Its
// status stays, since huma has already settled it.
func problemOfHuma(m *huma.ErrorModel) *problem {
	code := fleet.CodeBadRequest
	switch {
	case m.Status == http.StatusUnprocessableEntity:
		code = fleet.CodeInvalid
	case m.Status == http.StatusRequestEntityTooLarge:
		code = fleet.CodeTooLarge
	case m.Status >= http.StatusInternalServerError:
		return problemOf(errInternal)
	}
	p := problemOf(&fleet.Error{Code: code, Detail: sentence(m)})
	p.Status = m.Status
	return p
}

// sentence says the first fault, where it is and how many more there are.
func sentence(m *huma.ErrorModel) string {
	if len(m.Errors) == 0 {
		return m.Detail + "; send one JSON document"
	}
	first := m.Errors[0]
	where, message := first.Location, first.Message
	switch {
	case m.Status == http.StatusUnsupportedMediaType:
		message = "its Content-Type is not understood; send application/json"
	case where == "body" && m.Status == http.StatusBadRequest:
		message = "it is not JSON: " + message
	case strings.HasPrefix(message, "unexpected property"):
		message = "no such field; remove it or correct its name"
	}
	if shown := scalar(first.Value); shown != "" {
		where += " " + shown
	}
	out := where + ": " + message
	if more := len(m.Errors) - 1; more > 0 {
		out += fmt.Sprintf(" (and %d more)", more)
	}
	return out
}

// scalar shows a short value that was refused, and nothing of a whole document.
func scalar(value any) string {
	switch v := value.(type) {
	case string:
		if len(v) > 80 || strings.ContainsAny(v, "{}\n") {
			return ""
		}
		return fmt.Sprintf("%q", v)
	case float64, int64, int, bool:
		return fmt.Sprint(v)
	default:
		return ""
	}
}
