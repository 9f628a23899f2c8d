package registry

import (
	"grapevine/fleet"
	"grapevine/internal/tracing"
)

// onHost tells a span which host it is about.
func (c *core) onHost(span tracing.Span, host fleet.HostID) {
	if span.Recording() {
		span.Text("grapevine.host", c.HostName(host))
	}
}
