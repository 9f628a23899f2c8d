package identity

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"grapevine/fleet"
	"grapevine/internal/allocated"
)

// A certificate request comes from whoever has a join token, or a certificate
// that it wants renewed. What is taken has a name and hosts within bounds, and
// can be certified: the certificate says the same.
func FuzzReadRequest(f *testing.F) {
	ca, err := NewCA("home", now)
	if err != nil {
		f.Fatal(err)
	}
	for _, hosts := range [][]string{nil, {"alpha.example", "10.0.0.1", "fe80::1"}} {
		csr, _, err := NewRequest("alpha", hosts)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(csr)
	}
	f.Fuzz(func(t *testing.T, csr []byte) {
		// The engine has bytes changed behind the armour, too.
		for _, text := range [][]byte{csr, pem.EncodeToMemory(&pem.Block{Type: requestBlock, Bytes: csr})} {
			var r Request
			var err error
			if took := allocated.Bytes(func() { r, err = ReadRequest(text) }); took > 1<<20+100*uint64(len(text)) {
				t.Errorf("a request of %d bytes takes %d", len(text), took)
			}
			if err == nil {
				certified(t, ca, r)
			} else if strings.ContainsAny(err.Error(), "\n\x00") {
				t.Errorf("refused with %q", err)
			}
		}
	})
}

func certified(t *testing.T, ca *CA, r Request) {
	t.Helper()
	if fleet.CheckName("name", r.Name) != nil || len(r.Hosts) > fleet.MaxCertificateHosts {
		t.Errorf("taken: %+v", r)
	}
	text, err := ca.Certify(r, Agent, alpha, time.Hour, now, now)
	if err != nil {
		return
	}
	block, _ := pem.Decode(text)
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatalf("a request of %q is certified by what is no certificate: %v", r.Name, err)
	}
	subject, err := SubjectOf(cert)
	if err != nil || subject.ID != alpha || subject.Role != Agent || subject.Name != r.Name || subject.Fleet != "home" || cert.IsCA {
		t.Errorf("a request of %q is certified as %+v: %v", r.Name, subject, err)
	}
}
