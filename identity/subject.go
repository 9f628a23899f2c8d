package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"grapevine/fleet"
)

// ServerName is in every certificate of an agent and a registry, whatever the
// node's real names are, and is what clients of a fleet verify.
const ServerName = "node.grapevine.internal"

// scheme is that of the URI in which a certificate names its subject.
const scheme = "grapevine"

// Role is what a certificate entitles its bearer to be.
type Role string

// The roles. An operator's certificate can open connections and never serve.
const (
	Agent    Role = "agent"
	Registry Role = "registry"
	Operator Role = "operator"
)

// Subject is who a certificate speaks for.
type Subject struct {
	// Fleet is set by the CA that issues; Issue ignores what is given.
	Fleet string
	Role  Role
	// ID is the host id of an agent, the own id of a registry; for an operator
	// zero makes Issue draw one.
	ID fleet.UUID
	// Name is for people: it becomes the common name.
	Name string
	// Hosts are further DNS names and IP addresses at which browsers and curl
	// may expect the node, beside localhost.
	Hosts []string
}

// String returns the subject's URI.
func (s Subject) String() string {
	return fmt.Sprintf("%s://%s/%s/%s", scheme, s.Fleet, s.Role, s.ID)
}

// ErrNoSubject is wrapped by every error about a certificate that is not one
// of Grapevine's.
var ErrNoSubject = errors.New("not a Grapevine certificate")

var fleetName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// CheckFleetName judges a fleet's name: 1 to 63 lower-case letters, digits and
// inner hyphens, as in a DNS label.
func CheckFleetName(name string) error {
	if !fleetName.MatchString(name) {
		return fmt.Errorf("fleet name %.80q is not 1 to 63 lower-case letters, digits and inner hyphens; choose another", name)
	}
	return nil
}

func (r Role) check() error {
	switch r {
	case Agent, Registry, Operator:
		return nil
	default:
		return fmt.Errorf("role %.40q is not one of agent, registry, operator", string(r))
	}
}

// SubjectOf reads the subject from a certificate, whose signature the caller
// has verified. Its errors wrap ErrNoSubject.
func SubjectOf(cert *x509.Certificate) (Subject, error) {
	for _, uri := range cert.URIs {
		if uri.Scheme != scheme || uri.Path == "" {
			continue
		}
		s, err := parseURI(uri)
		if err != nil {
			return Subject{}, err
		}
		s.Name = cert.Subject.CommonName
		return s, nil
	}
	return Subject{}, fmt.Errorf("certificate of %.80q names no %s:// subject: %w", cert.Subject.CommonName, scheme, ErrNoSubject)
}

func parseURI(uri *url.URL) (Subject, error) {
	role, id, ok := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
	parsed, err := fleet.ParseUUID(id)
	s := Subject{Fleet: uri.Host, Role: Role(role), ID: parsed}
	if !ok || err != nil || s.Role.check() != nil || CheckFleetName(s.Fleet) != nil {
		return Subject{}, fmt.Errorf("subject %.120q is not of the form %s://fleet/role/id: %w", uri, scheme, ErrNoSubject)
	}
	return s, nil
}
