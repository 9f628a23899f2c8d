package client

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"

	"grapevine/fleet"
)

// maxProblem bounds an error's document: the verdicts of fleet.MaxHosts hosts
// with a few refusals each.
const maxProblem = fleet.MaxHosts * 4 << 10

// problem is an RFC 9457 document as nodes write it.
type problem struct {
	Code       fleet.Code       `json:"code"`
	Title      string           `json:"title"`
	Detail     string           `json:"detail"`
	Refusals   []fleet.Refusal  `json:"refusals"`
	Host       *fleet.Host      `json:"host"`
	Verdicts   []fleet.Verdict  `json:"verdicts"`
	Instance   fleet.InstanceID `json:"instance"`
	Candidates []string         `json:"candidates"`
	Batch      *fleet.Batch     `json:"batch"`
}

// problem turns an answer that is not a success into the error it carries.
func (c *Client) problem(resp *http.Response) error {
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media != "application/problem+json" {
		return c.foreign(resp)
	}
	var p problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxProblem)).Decode(&p); err != nil {
		return &TransportError{Addr: c.addr, Sent: true, Err: fmt.Errorf("read error document of status %d: %w", resp.StatusCode, err)}
	}
	if p.Detail == "" {
		p.Detail = p.Title
	}
	return &fleet.Error{
		Code: p.Code, Detail: p.Detail, Refusals: p.Refusals, Host: p.Host,
		Verdicts: p.Verdicts, Instance: p.Instance, Candidates: p.Candidates, Batch: p.Batch,
	}
}

// foreign judges an answer that no Grapevine node wrote, most likely a proxy's
// on the way. What a gateway could not bring back may have been done.
func (c *Client) foreign(resp *http.Response) error {
	code := fleet.CodeInternal
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return &TransportError{Addr: c.addr, Sent: true, Err: fmt.Errorf("a gateway answered %s", resp.Status)}
	case http.StatusUnauthorized:
		code = fleet.CodeUnauthenticated
	case http.StatusForbidden:
		code = fleet.CodeForbidden
	case http.StatusNotFound:
		code = fleet.CodeNotFound
	case http.StatusRequestEntityTooLarge:
		code = fleet.CodeTooLarge
	case http.StatusBadRequest:
		code = fleet.CodeBadRequest
	}
	return &fleet.Error{Code: code, Detail: fmt.Sprintf("%s answered %s and no problem document; check that the address is that of a Grapevine node", c.addr, resp.Status)}
}
