package vcsim

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/url"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
)

// SetPassword changes the password to log in with; who is logged in stays so.
func (h *Host) SetPassword(password string) {
	h.model.Service.Listen.User = url.UserPassword(h.User(), password)
}

// Thumbprint is the SHA-256 of the host's certificate, as hexadecimal pairs
// with colons between them.
func (h *Host) Thumbprint() string { return soap.ThumbprintSHA256(h.certificate.Load().Leaf) }

// RenewCertificate gives the host another certificate, as its administrator
// does when the old one expires. Connections are closed.
func (h *Host) RenewCertificate() error {
	if err := h.makeCertificate(); err != nil {
		return err
	}
	h.server.CloseClientConnections()
	return nil
}

// makeCertificate makes a certificate of the host's own: the simulator's is
// the same for all hosts.
func (h *Host) makeCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	h.certificate.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf})
	return nil
}

// present is the configuration of a connection, with the certificate of now.
func (h *Host) present(*tls.ClientHelloInfo) (*tls.Config, error) {
	return &tls.Config{Certificates: []tls.Certificate{*h.certificate.Load()}}, nil
}
