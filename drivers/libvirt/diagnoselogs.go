package libvirt

import (
	"context"
	"fmt"
	"strings"

	"grapevine/drivers"
)

// logTooLarge is eight times what virtlogd, as it comes, lets a file of a log
// grow to: whoever writes this one does not stop.
const logTooLarge = 16 << 20

// diagnoseLogs finds console logs that are not bounded, which QEMU writes where
// it does so itself; none where all is well.
func (d *Driver) diagnoseLogs(ctx context.Context) []drivers.Finding {
	pool, err := d.storage.Find(ctx)
	if err != nil {
		return nil // there is another finding for that
	}
	names, err := pool.Names(ctx)
	if err != nil {
		return []drivers.Finding{failed(drivers.Finding{Subject: d.config.Pool}, err)}
	}
	var findings []drivers.Finding
	for _, name := range names {
		if !strings.HasPrefix(name, "console-") {
			continue
		}
		if _, size, err := pool.Sized(ctx, name); err == nil && size > logTooLarge {
			findings = append(findings, drivers.Finding{
				Code: "console_log_unbounded", Severity: drivers.SeverityWarning, Subject: name,
				Detail: fmt.Sprintf("the console log has grown to %d MiB; the guest can fill the host's disk with it", size>>20),
				Fix:    `Let virtlogd write the logs, which bounds them: set stdio_handler = "logd" in /etc/libvirt/qemu.conf (or a smaller max_size in virtlogd.conf), restart libvirtd, and stop and start the machine.`,
			})
		}
	}
	return findings
}
