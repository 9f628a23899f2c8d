package openid

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// answerWithin bounds what a provider may take to answer one request.
	answerWithin = 10 * time.Second
	// maxAnswerBytes bounds what it may answer: keys and discovery are a few KiB.
	maxAnswerBytes = 1 << 20
	maxCABytes     = 1 << 20
)

// newWeb returns what asks a provider, and follows it nowhere else.
func newWeb(caFile string) (*http.Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pool, err := loadCA(caFile)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = pool
	}
	return &http.Client{
		Timeout: answerWithin,
		Transport: &bounded{&http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: settings, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: answerWithin, IdleConnTimeout: time.Minute, MaxIdleConns: 4, MaxResponseHeaderBytes: 64 << 10,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it redirects to another address, which is not followed")
		},
	}, nil
}

func loadCA(path string) (*x509.CertPool, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxCABytes {
		return nil, fmt.Errorf("%s is longer than %d bytes; give the certificates of the provider's authorities alone", path, maxCABytes)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the provider's authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s has no certificate in PEM; give those of the authorities that vouch for the provider", path)
	}
	return pool, nil
}

// bounded cuts answers that are too long, which the libraries above read whole.
type bounded struct{ inner http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.inner.RoundTrip(r)
	if err == nil {
		resp.Body = &cut{resp.Body, maxAnswerBytes}
	}
	return resp, err
}

type cut struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (c *cut) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, fmt.Errorf("the answer is longer than %d bytes", maxAnswerBytes)
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
