package esxi

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
)

// Config says which host to drive and how.
type Config struct {
	// URL is the host's address: a name, host:port, or https://host/sdk. It
	// must not hold credentials.
	URL      string
	User     string
	Password string
	// Thumbprint is the SHA-1 or SHA-256 of the host's certificate, as
	// hexadecimal pairs with colons between them: then that certificate and no
	// other is accepted. When empty, the system's authorities decide.
	Thumbprint string
	// Insecure, where there is no thumbprint, accepts any certificate. It is
	// for trials: whoever answers gets the password.
	Insecure bool
	// Datastore holds images and machines; it may be empty on a host that has
	// only one.
	Datastore string
	// Network is the port group of new machines; "VM Network" when empty.
	Network string
	Log     *slog.Logger // slog.Default() when nil
}

// LogValue hides the password.
func (c Config) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("url", c.URL), slog.String("user", c.User), slog.String("thumbprint", c.Thumbprint),
		slog.Bool("insecure", c.Insecure), slog.String("datastore", c.Datastore), slog.String("network", c.Network),
	)
}

// String hides the password.
func (c Config) String() string { return fmt.Sprintf("esxi %s as %s", c.URL, c.User) }

// GoString hides the password.
func (c Config) GoString() string { return c.String() }

// address reads the URL, without ever repeating what may be a password in it.
func (c Config) address() (*url.URL, error) {
	if c.URL == "" {
		return nil, errors.New("esxi url is empty; give the host's name or https://HOST/sdk")
	}
	if c.User == "" || c.Password == "" {
		return nil, errors.New("esxi user or password is empty; give an account of the host itself")
	}
	text := c.URL
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("esxi url cannot be read; give the host's name or https://HOST/sdk")
	}
	if u.User != nil {
		return nil, errors.New("esxi url holds credentials; give user and password apart from it")
	}
	if u.Scheme != "https" {
		return nil, fmt.Errorf("esxi url has scheme %q; only https keeps the password secret", u.Scheme)
	}
	u.Path = cmp.Or(u.Path, "/sdk")
	if u.Path == "/" {
		u.Path = "/sdk"
	}
	return u, nil
}
