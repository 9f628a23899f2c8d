package client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
)

// The two ways in which a request fails on its way, to be tested for with
// errors.Is. Errors of a node that did answer are *fleet.Error instead.
var (
	// ErrUnreachable: no connection was made, so the request was surely not
	// processed. It may be sent again, or elsewhere.
	ErrUnreachable = errors.New("node cannot be reached")
	// ErrOutcomeUnknown: a connection was there and no whole answer came back,
	// so a mutation may have been done. It must not be taken for refused.
	ErrOutcomeUnknown = errors.New("outcome of the request is unknown")
)

// TransportError is a request that got no answer. It wraps its cause and
// matches either ErrUnreachable or ErrOutcomeUnknown.
type TransportError struct {
	// Addr is the node's address as the client was given it.
	Addr string
	// Sent is whether the request may have reached the node.
	Sent bool
	// Err is the cause.
	Err error
}

// Error says in one sentence what happened and what to do.
func (e *TransportError) Error() string {
	if e.Sent {
		return fmt.Sprintf("%s took the request and did not answer it (%v); it may have been done: look before asking again", e.Addr, e.Err)
	}
	return fmt.Sprintf("cannot reach %s: %s", e.Addr, reason(e.Err))
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

// Is matches the error's kind.
func (e *TransportError) Is(target error) bool {
	if e.Sent {
		return target == ErrOutcomeUnknown
	}
	return target == ErrUnreachable
}

// reason puts the causes that people meet into words.
func reason(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	var plain tls.RecordHeaderError
	var dns *net.DNSError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there; start a registry or an agent, or give another address"
	case errors.Is(err, fs.ErrNotExist):
		return "the socket does not exist; start the agent, or give another address"
	case errors.Is(err, fs.ErrPermission):
		return "this user may not open the socket; join the group grapevine, or use a registry"
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %q does not resolve; correct it", dns.Name)
	case errors.As(err, &unknown):
		return "its certificate is of another CA; give the fleet's CA certificate"
	case errors.As(err, &invalid):
		return fmt.Sprintf("its certificate is not valid (%v); issue a new one with grapevine tls, or set the clocks", invalid)
	case errors.As(err, &hostname):
		return "its certificate is not that of a Grapevine node; give the fleet's CA certificate and check the address"
	case errors.As(err, &plain):
		return "it does not speak TLS; use http:// or check the port"
	case isCertificateAlert(err):
		return fmt.Sprintf("it does not accept our certificate (%v); use one that this fleet's CA issued and that has not expired", err)
	default:
		return err.Error()
	}
}
