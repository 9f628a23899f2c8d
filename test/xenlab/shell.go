package xenlab

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// Unpack unpacks a tar archive over dom0's root folder.
func (h *Host) Unpack(ctx context.Context, archive io.Reader) error {
	cmd := h.ssh(ctx, "tar -x -C / --no-same-owner")
	cmd.Stdin = archive
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("unpack files in dom0: %w: %s", err, out)
	}
	return nil
}

// Shell runs a command as root in dom0 and returns what it prints.
func (h *Host) Shell(ctx context.Context, command string) (string, error) {
	cmd := h.ssh(ctx, command)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("run %q in dom0: %w: %s%s", command, err, out.String(), problems.String())
	}
	return out.String(), nil
}

// ssh is a command that root runs in dom0.
func (h *Host) ssh(ctx context.Context, command string) *exec.Cmd {
	return exec.CommandContext(ctx, "ssh", "-q", "-i", filepath.Join(h.dir, "key"), "-p", h.sshPort,
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"root@127.0.0.1", command)
}
