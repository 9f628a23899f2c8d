package tracing

import (
	"fmt"
	"net/url"
	"strings"
)

// Settings are the keys that an operator sets, the same for every daemon.
type Settings struct {
	Endpoint string  `toml:"tracing_endpoint" help:"URL of an OpenTelemetry collector that takes traces by OTLP over HTTP, as http://127.0.0.1:4318; they are sent to /v1/traces below it; empty for no traces"`
	CAFile   string  `toml:"tracing_ca_file" help:"certificates that an https collector is judged by, PEM; the system's when empty"`
	Ratio    float64 `toml:"tracing_sample_ratio" help:"part of the requests that are traced, 0 to 1; one that a node of the fleet passes on is traced if that node traces it"`
}

// DefaultSettings trace nothing, and everything once there is an endpoint.
func DefaultSettings() Settings { return Settings{Ratio: 1} }

// On reports whether there is anything to send traces to.
func (s *Settings) On() bool { return s.Endpoint != "" }

// Validate returns one sentence on the first key at fault.
func (s *Settings) Validate() error {
	if !(s.Ratio >= 0 && s.Ratio <= 1) { // so that NaN is refused too
		return fmt.Errorf("tracing_sample_ratio is %g; it must be from 0 to 1", s.Ratio)
	}
	if !s.On() {
		if s.CAFile != "" {
			return fmt.Errorf("tracing_ca_file is set and tracing_endpoint is not; set both, or none")
		}
		return nil
	}
	u, err := url.Parse(s.Endpoint)
	// An address may hold a password, so that what cannot be read is not repeated.
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return fmt.Errorf("tracing_endpoint cannot be read; it must be of the form http://host:port or https://host:port")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("tracing_endpoint has a user, a query or a fragment; give scheme, host, port and at most a path, and let a collector on this machine log in elsewhere")
	case strings.HasSuffix(strings.TrimRight(u.Path, "/"), tracesPath):
		return fmt.Errorf("tracing_endpoint ends in %s, which is added to it; leave that out", tracesPath)
	case s.CAFile != "" && u.Scheme != "https":
		return fmt.Errorf("tracing_ca_file is set and tracing_endpoint is %q, which has no certificate; give an https address, or leave tracing_ca_file out", s.Endpoint)
	}
	return nil
}
