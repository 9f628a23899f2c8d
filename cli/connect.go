package cli

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"strings"
	"time"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/buildinfo"
)

// knock is how long the default address may take to show that it listens.
const knock = 500 * time.Millisecond

// setting returns what a flag says, else what a variable says.
func (a *app) setting(flag, variable string) string {
	if flag != "" {
		return flag
	}
	value, _ := a.lookup(variable)
	return value
}

// node returns a client of the node that flags and variables name; with none
// named, of the registry on this machine, or else of the agent on it.
func (a *app) node(ctx context.Context) (*client.Client, error) {
	addr := a.setting(a.addr, "GRAPEVINE_ADDR")
	if addr == "" {
		addr = a.nearest(ctx)
	}
	return a.clientAt(addr)
}

// clientAt returns a client of the node at an address, as who we are.
func (a *app) clientAt(addr string) (*client.Client, error) {
	opts := client.Options{Token: a.setting("", "GRAPEVINE_TOKEN"), UserAgent: "grapevine/" + buildinfo.Version()}
	if strings.HasPrefix(addr, "https://") {
		config, err := a.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts.TLS = config
	}
	return client.New(addr, opts)
}

// nearest is the default address, or the agent's socket when nothing listens
// there and the socket does.
func (a *app) nearest(ctx context.Context) string {
	dialer := net.Dialer{Timeout: knock}
	conn, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(a.defaultAddr, "http://"))
	if err == nil {
		_ = conn.Close() // it was only a knock
		return a.defaultAddr
	}
	if _, err := os.Stat(a.localSocket); err != nil {
		return a.defaultAddr
	}
	a.note("no registry listens on %s; asking the agent at unix://%s", strings.TrimPrefix(a.defaultAddr, "http://"), a.localSocket)
	return "unix://" + a.localSocket
}

// tlsConfig is who we are and whom we trust. With nothing given, the system's
// authorities are trusted.
func (a *app) tlsConfig() (*tls.Config, error) {
	files := identity.Files{
		CA:   a.setting(a.cacert, "GRAPEVINE_CACERT"),
		Cert: a.setting(a.cert, "GRAPEVINE_CERT"),
		Key:  a.setting(a.key, "GRAPEVINE_KEY"),
	}
	switch {
	case files.Cert != "" || files.Key != "":
		id, err := identity.Load(files, a.now())
		if err != nil {
			return nil, err
		}
		return id.ClientTLS(fleet.UUID{}), nil
	case files.CA != "":
		return identity.TrustCA(files.CA)
	default:
		return nil, nil
	}
}
