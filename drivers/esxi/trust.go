package esxi

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
)

// trust makes the client accept exactly the certificate with the thumbprint,
// whoever has signed it.
func trust(client *soap.Client, thumbprint string) {
	config := client.DefaultTransport().TLSClientConfig
	config.InsecureSkipVerify = true // VerifyConnection is called all the same, and is stricter
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the host shows no certificate")
		}
		shown := state.PeerCertificates[0]
		if strings.EqualFold(thumbprint, soap.ThumbprintSHA256(shown)) || strings.EqualFold(thumbprint, soap.ThumbprintSHA1(shown)) {
			return nil
		}
		return fmt.Errorf("the host's certificate has the thumbprint %s, not the %s that is configured; if its administrator has renewed it, set the key thumbprint to the new one",
			soap.ThumbprintSHA256(shown), thumbprint)
	}
}
