package registry

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"grapevine/fleet"
	"grapevine/identity"
	"grapevine/internal/settings"
	"grapevine/internal/tracing"
)

// Config is all that a registry is told. Each key can be given in
// registry.toml, as a flag (listen_tls: --listen-tls) or as a variable
// (GRAPEVINE_LISTEN_TLS).
type Config struct {
	Name  string `toml:"name" help:"name of this registry for people; the host name when empty"`
	Fleet string `toml:"fleet" help:"name of the fleet, checked against the certificate; the certificate's when empty"`

	Listen    string `toml:"listen" help:"address of the API, host:port; plain HTTP on loopback only, where everybody is an operator"`
	ListenTLS bool   `toml:"listen_tls" help:"serve the API over TLS with this registry's certificate; clients need one of the fleet's, or a token"`

	UsersFile   string `toml:"users_file" help:"file with users, projects, roles and quotas, the same at every registry; read again when it changes; with it, callers on loopback need a token too"`
	OIDC        OIDC   `toml:"oidc" help:"OpenID provider whose people log in, the same at every registry; its groups are given projects and roles in the users file, which it needs"`
	OpenMetrics bool   `toml:"open_metrics" help:"let anyone who reaches the API read /metrics"`

	GossipBind      string   `toml:"gossip_bind" help:"address that gossip listens on, TCP and UDP"`
	GossipAdvertise string   `toml:"gossip_advertise" help:"address that others reach gossip at (default: the machine's first address)"`
	Join            []string `toml:"join" help:"members to join through: names, addresses (port 7946 when none is given) or SRV names; tried for ever"`

	TLSCA         string `toml:"tls_ca" help:"file with the fleet CA's certificate"`
	TLSCert       string `toml:"tls_cert" help:"file with this registry's certificate; its id is in it"`
	TLSKey        string `toml:"tls_key" help:"file with the certificate's key"`
	GossipKeyFile string `toml:"gossip_key_file" help:"file with the key that encrypts gossip, base64 of 32 bytes; further lines hold keys that are read with too"`
	JoinFile      string `toml:"join_file" help:"file with further members to join through, one a line, as grapevine join writes it; it may be absent"`
	CACertFile    string `toml:"ca_cert_file" help:"certificate of an intermediate CA, with which this node lets others in and renews their certificates; empty for none"`
	CAKeyFile     string `toml:"ca_key_file" help:"key of that CA, readable by its owner alone"`

	CertificateLife time.Duration `toml:"certificate_life" help:"how long the certificates are good that this node issues by its CA; they renew themselves after two thirds of it"`

	Flavors   []fleet.Flavor `toml:"flavors" help:"named sizes, instead of the built-in ones"`
	Placement fleet.Strategy `toml:"placement" help:"spread instances evenly over the hosts, or pack them on few"`

	Frontend map[string]settings.Table `toml:"frontend" help:"further API dialects to serve, each by a table of its own such as [frontend.openstack], with the keys that its documentation names"`

	UniqueNames []string `toml:"unique_names" help:"projects in which an instance's name is given to one at a time, \"*\" for all; the same at every registry"`

	RequestTimeout time.Duration `toml:"request_timeout" help:"how long a host may take to answer a proposal or an action"`
	ShutdownGrace  time.Duration `toml:"shutdown_grace" help:"how long requests under way may take to end at shutdown"`
	LogLevel       string        `toml:"log_level" help:"debug, info, warn or error"`

	tracing.Settings
}

// OIDC says whose ID tokens are taken, and what in them is read.
type OIDC struct {
	Issuer      string   `toml:"issuer" help:"address of the OpenID provider exactly as it calls itself, https (or http on loopback); empty for none"`
	ClientID    string   `toml:"client_id" help:"name by which the provider knows this fleet; an ID token for anybody else is refused"`
	CAFile      string   `toml:"ca_file" help:"certificates of the authorities that vouch for the provider; the system's when empty"`
	UserClaim   string   `toml:"user_claim" help:"claim that names the person, who is called oidc:NAME here; sub alone is never given to another person; email is taken only where the provider has verified it"`
	GroupsClaim string   `toml:"groups_claim" help:"claim that lists the person's groups"`
	Scopes      []string `toml:"scopes" help:"what grapevine login --oidc asks the provider for, beside openid, such as groups"`
}

// Default returns the configuration before anything is set.
func Default() Config {
	return Config{
		Listen:          "127.0.0.1:7948",
		GossipBind:      ":7949",
		TLSCA:           "/etc/grapevine/tls/ca.pem",
		TLSCert:         "/etc/grapevine/tls/registry.pem",
		TLSKey:          "/etc/grapevine/tls/registry-key.pem",
		GossipKeyFile:   "/etc/grapevine/tls/gossip.key",
		JoinFile:        "/etc/grapevine/tls/join",
		OIDC:            OIDC{UserClaim: "sub", GroupsClaim: "groups"},
		CertificateLife: fleet.CertificateLife,
		Flavors:         fleet.BuiltinFlavors(),
		Placement:       fleet.Spread,
		RequestTimeout:  10 * time.Second,
		ShutdownGrace:   10 * time.Second,
		LogLevel:        "info",
		Settings:        tracing.DefaultSettings(),
	}
}

// Validate returns one sentence on the first key at fault, naming the key and
// what to do.
func (c *Config) Validate() error {
	for _, check := range []func(*Config) error{
		(*Config).checkNames, (*Config).checkListen, (*Config).checkGossip, (*Config).checkFiles, (*Config).checkOIDC,
		(*Config).checkFlavors, (*Config).checkPlacement, (*Config).checkUnique, (*Config).checkTimes, (*Config).checkLog,
		func(c *Config) error { return c.Settings.Validate() },
	} {
		if err := check(c); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkNames() error {
	if c.Name != "" {
		if err := fleet.CheckName("name", c.Name); err != nil {
			return err
		}
	}
	if c.Fleet != "" {
		return identity.CheckFleetName(c.Fleet)
	}
	return nil
}

func (c *Config) checkListen() error {
	if err := checkAddress("listen", c.Listen); err != nil {
		return err
	}
	if !c.ListenTLS && !loopback(c.Listen) {
		return fmt.Errorf("listen is %q, which other machines can reach, and plain HTTP is served on loopback only: "+
			"set listen_tls = true, or listen on 127.0.0.1:7948", c.Listen)
	}
	return nil
}

func (c *Config) checkGossip() error {
	if err := checkAddress("gossip_bind", c.GossipBind); err != nil {
		return err
	}
	if c.GossipAdvertise != "" {
		if err := checkAddress("gossip_advertise", c.GossipAdvertise); err != nil {
			return err
		}
	}
	for _, member := range c.Join {
		if strings.TrimSpace(member) == "" {
			return fmt.Errorf("join has an empty entry; give names, addresses or SRV names of members")
		}
	}
	return nil
}

func (c *Config) checkFiles() error {
	for _, file := range []struct{ key, path string }{
		{"tls_ca", c.TLSCA}, {"tls_cert", c.TLSCert}, {"tls_key", c.TLSKey}, {"gossip_key_file", c.GossipKeyFile},
	} {
		if file.path == "" {
			return fmt.Errorf("%s is not set; make the fleet's certificates and gossip key with: grapevine tls", file.key)
		}
	}
	if c.CertificateLife < fleet.MinCertificateLife {
		return fmt.Errorf("certificate_life is %s; it must be at least %s", c.CertificateLife, fleet.MinCertificateLife)
	}
	if (c.CACertFile == "") != (c.CAKeyFile == "") {
		return errors.New("of ca_cert_file and ca_key_file one is set; set both, as grapevine tls intermediate made them, or none")
	}
	return nil
}

func (c *Config) checkOIDC() error {
	o := &c.OIDC
	if o.Issuer == "" {
		if o.ClientID != "" {
			return errors.New("oidc.client_id is set and oidc.issuer is not; set both, or none")
		}
		return nil
	}
	at, err := url.Parse(o.Issuer)
	switch {
	case err != nil, at.Host == "", at.RawQuery != "", at.Fragment != "", at.User != nil,
		at.Scheme != "https" && (at.Scheme != "http" || !loopback(net.JoinHostPort(at.Hostname(), "0"))):
		return fmt.Errorf("oidc.issuer is %q; it must be an https address without a query, as the provider calls itself", o.Issuer)
	case o.ClientID == "":
		return errors.New("oidc.client_id is not set; it is what the provider calls this fleet")
	case o.UserClaim == "":
		return errors.New("oidc.user_claim is empty; name the claim that says who somebody is, as sub")
	case o.GroupsClaim == "":
		return errors.New("oidc.groups_claim is empty; name the claim that lists somebody's groups, as groups")
	case c.UsersFile == "":
		return errors.New("oidc.issuer is set and users_file is not; the users file says what groups of the provider may do")
	}
	for _, scope := range o.Scopes {
		if scope == "" || strings.ContainsFunc(scope, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }) {
			return fmt.Errorf("oidc.scopes has %q, which is not one word", scope)
		}
	}
	return nil
}

func (c *Config) checkFlavors() error {
	if len(c.Flavors) == 0 {
		return fmt.Errorf("flavors is an empty list; nothing could be created: name at least one, or leave the key out")
	}
	seen := map[string]bool{}
	for i := range c.Flavors {
		f := &c.Flavors[i]
		if err := fleet.CheckName("flavor name", f.Name); err != nil {
			return err
		}
		if err := f.Validate(); err != nil {
			return fmt.Errorf("flavor %q: %w", f.Name, err)
		}
		if seen[f.Name] {
			return fmt.Errorf("flavor %q is there twice; remove one", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

func (c *Config) checkPlacement() error {
	if c.Placement != fleet.Spread && c.Placement != fleet.Pack {
		return fmt.Errorf("placement is %q; it must be spread or pack", c.Placement)
	}
	return nil
}

func (c *Config) checkUnique() error {
	for _, project := range c.UniqueNames {
		if project == AllProjects {
			continue
		}
		if err := fleet.CheckName("project in unique_names", project); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkTimes() error {
	if c.RequestTimeout < time.Second || c.RequestTimeout > 5*time.Minute {
		return fmt.Errorf("request_timeout is %s; it must be 1s to 5m", c.RequestTimeout)
	}
	if c.ShutdownGrace < 0 || c.ShutdownGrace > 5*time.Minute {
		return fmt.Errorf("shutdown_grace is %s; it must be 0s to 5m", c.ShutdownGrace)
	}
	return nil
}

func (c *Config) checkLog() error {
	if err := new(slog.Level).UnmarshalText([]byte(c.LogLevel)); err != nil {
		return fmt.Errorf("log_level is %q; it must be debug, info, warn or error", c.LogLevel)
	}
	return nil
}

func checkAddress(key, address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%s is %q, which is not of the form host:port: %w", key, address, err)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("%s is %q, whose port is not a number from 0 to 65535", key, address)
	}
	return nil
}

// loopback reports whether only this machine can reach the address.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
