package openid

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Login gets an ID token for a person at their own machine.
type Login struct {
	*Provider
	// Scopes are asked for beside openid; Secret is the client's, where the provider
	// has given it one. A program that many people have keeps no secret: what
	// protects them is PKCE.
	Scopes []string
	Secret string
}

const (
	callbackPath = "/callback"
	// callbackHeaders bounds how long a browser may take to ask, and
	// callbackEnd how long its answer may take once the person is known.
	callbackHeaders = 10 * time.Second
	callbackEnd     = time.Second
)

// endpoints asks the provider where people log in.
func (l *Login) endpoints(ctx context.Context, redirect string) (*oauth2.Config, context.Context, error) {
	ctx = oidc.ClientContext(ctx, l.web)
	found, err := oidc.NewProvider(ctx, l.cfg.Issuer)
	if err != nil {
		return nil, nil, fmt.Errorf("ask the OpenID provider %s where people log in: %w", l.cfg.Issuer, err)
	}
	return &oauth2.Config{
		ClientID: l.cfg.ClientID, ClientSecret: l.Secret, Endpoint: found.Endpoint(), RedirectURL: redirect, Scopes: append([]string{oidc.ScopeOpenID}, l.Scopes...),
	}, ctx, nil
}

// ByBrowser has the person log in in a browser on this machine, which brings a code
// to a port on loopback (RFC 8252), of use with what only this program knows (PKCE).
// Show is given the address to open. It blocks until that was done, or ctx ends.
func (l *Login) ByBrowser(ctx context.Context, show func(address string)) (string, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for the browser: %w", err)
	}
	conf, ctx, err := l.endpoints(ctx, "http://"+listener.Addr().String()+callbackPath)
	if err != nil {
		return "", errors.Join(err, listener.Close())
	}
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	came := make(chan arrival, 1)
	server := &http.Server{Handler: callback(state, came), ReadHeaderTimeout: callbackHeaders, MaxHeaderBytes: 64 << 10}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener) // until it is closed
	}()
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), callbackEnd)
		defer cancel()
		if server.Shutdown(end) != nil {
			_ = server.Close()
		}
		<-served
	}()
	show(conf.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)))
	select {
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the browser: %w", ctx.Err())
	case a := <-came:
		if a.err != nil {
			return "", a.err
		}
		token, err := conf.Exchange(ctx, a.code, oauth2.VerifierOption(verifier))
		if err != nil {
			return "", l.failed("exchange the code", err)
		}
		return l.checked(ctx, token, nonce)
	}
}

// arrival is what a browser brings.
type arrival struct {
	code string
	err  error
}

// callback takes what the provider sends the browser back with: once, and for this
// login alone. Anything else on this machine can ask as well.
func callback(state string, came chan<- arrival) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+callbackPath, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		query := r.URL.Query()
		if subtle.ConstantTimeCompare([]byte(query.Get("state")), []byte(state)) != 1 {
			http.Error(w, "This is not the login that grapevine waits for.", http.StatusBadRequest)
			return
		}
		a := arrival{code: query.Get("code")}
		if a.code == "" {
			a.err = fmt.Errorf("the OpenID provider let nobody in: %.80q %.200q", query.Get("error"), query.Get("error_description"))
		}
		select {
		case came <- a:
			fmt.Fprintln(w, "grapevine has its answer; see the terminal. This page can be closed.")
		default:
			http.Error(w, "This login was answered already.", http.StatusConflict)
		}
	})
	return mux
}

// ByDevice has the person log in on any other device, by a code that show is given
// with the address (RFC 8628). It blocks until that was done, or ctx or the code ends.
func (l *Login) ByDevice(ctx context.Context, show func(address, code string)) (string, error) {
	conf, ctx, err := l.endpoints(ctx, "")
	if err != nil {
		return "", err
	}
	if conf.Endpoint.DeviceAuthURL == "" {
		return "", fmt.Errorf("the OpenID provider %s lets nobody log in by a code on another device; leave --device out", l.cfg.Issuer)
	}
	asked, err := conf.DeviceAuth(ctx)
	if err != nil {
		return "", l.failed("ask for a code", err)
	}
	show(asked.VerificationURI, asked.UserCode)
	token, err := conf.DeviceAccessToken(ctx, asked)
	if err != nil {
		return "", l.failed("wait for the login", err)
	}
	return l.checked(ctx, token, "")
}

// failed says what the provider answered, without what it was sent.
func (l *Login) failed(what string, err error) error {
	var said *oauth2.RetrieveError
	if errors.As(err, &said) && said.ErrorCode != "" {
		return fmt.Errorf("%s at the OpenID provider %s: it answers %.80q %.200q", what, l.cfg.Issuer, said.ErrorCode, said.ErrorDescription)
	}
	return fmt.Errorf("%s at the OpenID provider %s: %w", what, l.cfg.Issuer, err)
}

// checked returns the ID token that came, if it is one, and of this login: a nonce
// that another login drew is in a token that somebody put in.
func (l *Login) checked(ctx context.Context, token *oauth2.Token, nonce string) (string, error) {
	idToken, _ := token.Extra("id_token").(string)
	if idToken == "" {
		return "", fmt.Errorf("the OpenID provider %s sent no ID token; the client %s may not use the scope openid there", l.cfg.Issuer, l.cfg.ClientID)
	}
	said, err := l.Judge(ctx, idToken, time.Now())
	if err != nil {
		return "", err
	}
	if subtle.ConstantTimeCompare([]byte(said.Nonce), []byte(nonce)) != 1 && nonce != "" {
		return "", refused("it is of another login")
	}
	return idToken, nil
}
