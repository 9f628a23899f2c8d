package agent

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"grapevine/identity"
)

// load fills in what was not handed over.
func load(cfg *Config, deps Deps) (Deps, error) {
	var err error
	if deps.Identity == nil {
		files := identity.Files{CA: cfg.TLSCA, Cert: cfg.TLSCert, Key: cfg.TLSKey}
		if deps.Identity, err = identity.Load(files, time.Now(), identity.Agent); err != nil {
			return deps, err
		}
	}
	own := deps.Identity.Subject().Fleet
	if cfg.Fleet != "" && cfg.Fleet != own {
		return deps, fmt.Errorf("fleet is %q and the certificate is of fleet %q; set fleet to that, leave it out, or use the other fleet's certificate", cfg.Fleet, own)
	}
	cfg.Fleet = own
	if deps.GossipKey == nil {
		if deps.GossipKey, err = identity.LoadGossipKey(cfg.GossipKeyFile); err != nil {
			return deps, err
		}
	}
	if deps.Log == nil {
		deps.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Name == "" {
		name, err := os.Hostname()
		if err != nil {
			return deps, fmt.Errorf("find this machine's host name; set name: %w", err)
		}
		cfg.Name, _, _ = strings.Cut(name, ".")
	}
	return deps, nil
}
