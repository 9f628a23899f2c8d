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
func (h *Host) Thumbprint() string {
	if c := h.certificate.Load(); c != nil {
		return soap.ThumbprintSHA256(c.Leaf)
	}
	return soap.ThumbprintSHA256(h.server.Certificate())
}

// RenewCertificate gives the host another certificate, as its administrator
// does when the old one expires. Connections are closed.
func (h *Host) RenewCertificate() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), NotBefore: now, NotAfter: now.Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return fmt.Errorf("make certificate: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("read certificate: %w", err)
	}
	h.certificate.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf})
	h.server.CloseClientConnections()
	return nil
}

// renewed is the configuration of a connection: nil, for the simulator's own,
// until the certificate is renewed.
func (h *Host) renewed(*tls.ClientHelloInfo) (*tls.Config, error) {
	c := h.certificate.Load()
	if c == nil {
		return nil, nil
	}
	return &tls.Config{Certificates: []tls.Certificate{*c}}, nil
}
