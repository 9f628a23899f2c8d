package agent

import (
	"context"
	"errors"
	"fmt"

	"grapevine/drivers"
)

// bind makes sure that certificate, journal and machine belong together, as
// far as the hypervisor answers now, and returns the machine's fingerprint.
func (a *Agent) bind(ctx context.Context) (hardware string, err error) {
	held, err := a.journal.Host()
	if err != nil {
		return "", err
	}
	if !held.ID.IsZero() && held.ID != a.hostID {
		return "", fmt.Errorf("the journal in %s is of host %s, and the certificate %s is for host %s: use that host's certificate, or an empty data_dir for a new host",
			a.cfg.DataDir, held.ID, a.cfg.TLSCert, a.hostID)
	}
	within, cancel := context.WithTimeout(ctx, describeWait)
	defer cancel()
	d, err := a.driver.Describe(within)
	switch {
	case errors.Is(err, drivers.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		a.log.Warn("hypervisor does not answer at start", "error", err)
		return held.Hardware, a.journal.BindHost(a.hostID, held.Hardware)
	case err != nil:
		return "", fmt.Errorf("ask the hypervisor what this host is: %w", err)
	}
	return d.Hardware, a.attach(d)
}

// attach binds the journal to the machine that d describes, or says that it
// belongs to another one.
func (a *Agent) attach(d drivers.Description) error {
	if !d.HostID.IsZero() && d.HostID != a.hostID {
		return fmt.Errorf("the hypervisor is host %s, and the certificate %s is for host %s: issue one with: grapevine tls issue --role agent --id %s",
			d.HostID, a.cfg.TLSCert, a.hostID, d.HostID)
	}
	held, err := a.journal.Host()
	if err != nil {
		return err
	}
	switch held.Hardware {
	case d.Hardware:
		return nil
	case "":
		return a.journal.BindHost(a.hostID, d.Hardware)
	case a.cfg.ReplacesHardware:
		a.log.Warn("the host has a new board, by an operator's word", "before", held.Hardware, "now", d.Hardware)
		return a.journal.BindHost(a.hostID, d.Hardware)
	default:
		return fmt.Errorf("the journal in %s was made on other hardware (%s; this is %s): a copied disk must not speak for the host it was copied from; "+
			"give a copy a data_dir and a certificate of its own, or say that this host's board was replaced with replaces_hardware = %[2]q",
			a.cfg.DataDir, held.Hardware, d.Hardware)
	}
}
