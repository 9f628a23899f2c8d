package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"grapevine/api/client"
	"grapevine/fleet"
	"grapevine/people/openid"
)

// loginWithin is how long a person may take to log in at an OpenID provider.
const loginWithin = 10 * time.Minute

// oidcFlags say how somebody logs in by an OpenID provider.
type oidcFlags struct {
	browser, device, noBrowser bool
	idTokenFile                string
	caFile, secretFile         string
}

func (f *oidcFlags) register(flags *pflag.FlagSet) {
	flags.BoolVar(&f.browser, "oidc", false, "log in at the registry's OpenID provider, in a browser on this machine")
	flags.BoolVar(&f.device, "device", false, "with --oidc: by a code that is typed in on another device")
	flags.BoolVar(&f.noBrowser, "no-browser", false, "with --oidc: print the address only, and open no browser")
	flags.StringVar(&f.idTokenFile, "id-token-file", "", "log in with the ID token in this file, - for standard input")
	flags.StringVar(&f.caFile, "oidc-ca", "", "certificates of the authorities that vouch for the OpenID provider (default the system's)")
	flags.StringVar(&f.secretFile, "oidc-secret-file", "", "file with the client's secret, for providers that give native programs one")
}

func (f *oidcFlags) used() bool { return f.browser || f.idTokenFile != "" }

func (f *oidcFlags) check(cmd *cobra.Command, otherwise bool) error {
	switch {
	case f.used() && otherwise:
		return usage(cmd, "--oidc and --id-token-file are ways to log in without --user and --api-key; give one of them")
	case f.browser && f.idTokenFile != "":
		return usage(cmd, "--oidc gets an ID token and --id-token-file has one; give one of them")
	case !f.browser && (f.device || f.noBrowser || f.caFile != "" || f.secretFile != ""):
		return usage(cmd, "--device, --no-browser, --oidc-ca and --oidc-secret-file say how --oidc is done; give --oidc as well")
	default:
		return nil
	}
}

// idToken gets an ID token: the one in a file, or one that the person gets now.
func (a *app) idToken(ctx context.Context, node *client.Client, f *oidcFlags) (string, error) {
	if f.idTokenFile != "" {
		return a.readSmall(f.idTokenFile, fleet.MaxIDTokenBytes)
	}
	ways, err := node.Login(ctx)
	if err != nil {
		return "", err
	}
	if ways.OIDC == nil {
		return "", errors.New("this registry has no OpenID provider ([oidc] in registry.toml); log in with --user or --api-key")
	}
	provider, err := openid.New(openid.Config{Issuer: ways.OIDC.Issuer, ClientID: ways.OIDC.ClientID, CAFile: f.caFile, UserClaim: "sub", GroupsClaim: "sub"})
	if err != nil {
		return "", err
	}
	login := &openid.Login{Provider: provider, Scopes: ways.OIDC.Scopes}
	if f.secretFile != "" {
		if login.Secret, err = a.readSmall(f.secretFile, 4096); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, loginWithin)
	defer cancel()
	if f.device {
		return login.ByDevice(ctx, func(address, code string) {
			a.note("open %s on any device, log in and type in the code %s", visible(address), visible(code))
		})
	}
	return login.ByBrowser(ctx, func(address string) {
		a.note("log in at %s", visible(address))
		if !f.noBrowser {
			a.openBrowser(ctx, address)
		}
	})
}

// openBrowser tries to open an address of the provider. The person has been told
// it, so that it does not matter where that fails.
func (a *app) openBrowser(ctx context.Context, address string) {
	program, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		program = "open"
	case "windows":
		program, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	if _, display := a.lookup("DISPLAY"); runtime.GOOS == "linux" && !display {
		if _, wayland := a.lookup("WAYLAND_DISPLAY"); !wayland {
			return
		}
	}
	_ = exec.CommandContext(ctx, program, args...).Start() // it outlives this program
}

// readSmall reads a secret from a file, or with - from standard input.
func (a *app) readSmall(path string, most int64) (string, error) {
	from := a.in
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return "", err
		}
		defer file.Close()
		from = file
	}
	text, err := io.ReadAll(io.LimitReader(from, most+2))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	secret := strings.TrimSpace(string(text))
	switch {
	case secret == "":
		return "", fmt.Errorf("%s is empty", path)
	case int64(len(secret)) > most:
		return "", fmt.Errorf("%s is longer than %d bytes", path, most)
	}
	return secret, nil
}
