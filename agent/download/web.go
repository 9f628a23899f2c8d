// Package download gets files from web servers on behalf of others: resumable,
// within bounds, and only from where it may. Whoever asks for an image names an
// address, and the host connects to it from inside the site's network; so it
// connects to public addresses only, unless the operator has allowed more.
package download

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	maxRedirects = 5
	dialTimeout  = 10 * time.Second
	headerWait   = 30 * time.Second
)

// ErrForbidden says that the address is one that may not be asked.
var ErrForbidden = errors.New("this address may not be asked")

// Web asks web servers. It uses no proxy: a proxy would hide where a connection
// ends.
type Web struct {
	allowed      []*url.URL
	open, public *http.Transport
}

// NewWeb returns a Web that may ask public addresses, and whatever is below one
// of the allowed URLs.
func NewWeb(allowed []string) (*Web, error) {
	w := &Web{open: transport(nil), public: transport(onlyPublic)}
	for _, prefix := range allowed {
		u, err := url.Parse(prefix)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.User != nil {
			return nil, fmt.Errorf("%q is not of the form http://host/path/ or https://host/path/", prefix)
		}
		w.allowed = append(w.allowed, u)
	}
	return w, nil
}

func transport(control func(network, address string, c syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: control}
	return &http.Transport{
		DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: headerWait,
		DisableCompression: true, DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}
}

// onlyPublic is asked with the address that a name has resolved to, before the
// connection is made to just that address.
func onlyPublic(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrForbidden, address)
	}
	if !isPublic(at.Addr().Unmap()) {
		return fmt.Errorf("%w: %s is not a public address; the host's image_urls can allow it", ErrForbidden, at.Addr())
	}
	return nil
}

// notPublic are the ranges, beside those that netip knows, that lead elsewhere
// than to the Internet: RFC 6890, and what carries an IPv4 address inside.
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
}

func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() {
		return false
	}
	for _, p := range notPublic {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// through is how a URL may be asked.
func (w *Web) through(u *url.URL) http.RoundTripper {
	for _, prefix := range w.allowed {
		below := strings.TrimSuffix(prefix.EscapedPath(), "/") + "/"
		if u.Scheme == prefix.Scheme && strings.EqualFold(u.Host, prefix.Host) && strings.HasPrefix(u.EscapedPath()+"/", below) && !strings.Contains(u.Path, "..") {
			return w.open
		}
	}
	return w.public
}

// get asks for a file, and follows redirects, each of which is judged anew. It
// never goes from https to http.
func (w *Web) get(ctx context.Context, from string, header http.Header) (*http.Response, error) {
	u, err := url.Parse(from)
	if err != nil {
		return nil, err
	}
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, err
		}
		req.Header = header.Clone()
		req.Header.Set("User-Agent", "grapevine")
		resp, err := w.through(u).RoundTrip(req)
		if err != nil {
			return nil, err
		}
		next := resp.Header.Get("Location")
		if resp.StatusCode < 300 || resp.StatusCode > 399 || next == "" {
			return resp, nil
		}
		_ = resp.Body.Close() // nothing of it is wanted
		to, err := u.Parse(next)
		switch {
		case err != nil:
			return nil, fmt.Errorf("it redirects to %.200q, which is no URL", next)
		case to.Scheme != "https" && (to.Scheme != "http" || u.Scheme == "https"), to.User != nil:
			return nil, fmt.Errorf("%w: it redirects to %.200q", ErrForbidden, next)
		}
		u = to
	}
	return nil, fmt.Errorf("it redirects more than %d times", maxRedirects)
}
