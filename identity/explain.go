package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
)

// Explain puts the cause of a failed handshake, or of a first read after one,
// into a sentence that says what to do, and wraps err. Errors that have
// nothing to do with certificates, and nil, are returned as they are. Peer is
// what the caller calls the other end, usually its address.
//
// With TLS 1.3 a client learns that the server refused its certificate only
// when it first reads: hand that error here too.
func Explain(peer string, err error) error {
	if sentence := sentenceFor(err); sentence != "" {
		return fmt.Errorf("%s %s: %w", peer, sentence, err)
	}
	return err
}

func sentenceFor(err error) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	var hostname x509.HostnameError
	var plain tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &unknown):
		return "shows a certificate of another CA; give both nodes certificates of one fleet CA"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "shows a certificate that is not valid at this time; issue a new one with grapevine tls, or set the clocks"
	case errors.As(err, &invalid):
		return "shows a certificate that may not be used so; issue one for its role with grapevine tls"
	case errors.As(err, &hostname):
		return "shows a certificate that is not one of a Grapevine node; issue one with grapevine tls"
	case errors.As(err, &plain):
		return "does not speak TLS; check the address and the port"
	case errors.As(err, &op) && op.Op == "remote error":
		return sentenceForAlert(op.Err.Error())
	default:
		return ""
	}
}

// sentenceForAlert explains the alerts with which a peer refuses us; crypto/tls
// gives them no exported type, only these words.
func sentenceForAlert(alert string) string {
	switch {
	case strings.Contains(alert, "unknown certificate authority"):
		return "does not know the CA of our certificate; give both nodes certificates of one fleet CA"
	case strings.Contains(alert, "expired certificate"):
		return "says that our certificate has expired; issue a new one with grapevine tls"
	case strings.Contains(alert, "bad certificate"), strings.Contains(alert, "certificate required"):
		return "does not accept our certificate; check its fleet, its role and its dates"
	case strings.Contains(alert, "no application protocol"):
		return "speaks none of our protocols; check the port and that both run releases that fit"
	default:
		return ""
	}
}
