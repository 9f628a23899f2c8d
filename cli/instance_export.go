package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"grapevine/api/client"
	"grapevine/exportfile"
	"grapevine/fleet"
	"grapevine/internal/pause"
)

func (a *app) instanceExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export INSTANCE", Short: "Carry a stopped instance away in one file: its description and all of its disks", Args: takes("INSTANCE"),
		Long: "Until the file is whole and every digest in it has been compared it is called FILE.part; run the same command again to go on after it broke off.\n" +
			"Bring it back, on any host that can read its disks, with: grapevine instance import FILE",
		Example:           "  grapevine instance export web --file web.grapevine",
		ValidArgsFunction: a.completeInstances,
	}
	var path string
	var wait time.Duration
	cmd.Flags().StringVar(&path, "file", "", "file to write")
	cmd.Flags().DurationVar(&wait, "wait", 24*time.Hour, "how long the host may take to prepare it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := need(cmd, "file"); err != nil {
			return err
		}
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already; give another --file, or remove it", path)
		}
		node, row, err := a.instance(cmd, args[0])
		if err != nil {
			return err
		}
		t := &carrying{app: a, node: node, row: row, path: path, wait: wait}
		v, err := t.run(cmd.Context())
		if err != nil {
			return err
		}
		return a.print(exported{row.ID, path, v.SHA256, v.Bytes}, func() written {
			return line(fmt.Sprintf("exported %s (%s) to %s, %d bytes, sha256 %s", row.Name, row.ID, path, v.Bytes, v.SHA256))
		})
	}
	return cmd
}

// exported says what became of an export.
type exported struct {
	Instance fleet.InstanceID `json:"instance"`
	File     string           `json:"file"`
	SHA256   string           `json:"sha256"`
	Bytes    int64            `json:"bytes"`
}

// carrying is an export on its way into a file.
type carrying struct {
	app  *app
	node *client.Client
	row  fleet.Instance
	path string
	wait time.Duration
}

func (t *carrying) partPath() string { return t.path + ".part" }

// run takes the file, from where an earlier run has ended, and verifies it.
func (t *carrying) run(ctx context.Context) (exportfile.Verified, error) {
	var none exportfile.Verified
	part, err := os.OpenFile(t.partPath(), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return none, err
	}
	defer part.Close()
	prepared, have, err := t.prepared(ctx, part)
	if err != nil {
		return none, t.discardEmpty(part, err)
	}
	if err := t.take(ctx, part, &prepared, have); err != nil {
		return none, err
	}
	v, err := t.verify(ctx, part, &prepared)
	if err != nil {
		return none, err
	}
	if err := errors.Join(part.Sync(), os.Rename(t.partPath(), t.path)); err != nil {
		return none, err
	}
	if err := t.node.DropExport(ctx, t.row.ID); err != nil {
		t.app.note("what the host has prepared stays there for a day: %v", err)
	}
	return v, nil
}

// discardEmpty leaves no file where nothing was written to it.
func (t *carrying) discardEmpty(part *os.File, err error) error {
	if info, statErr := part.Stat(); statErr == nil && info.Size() == 0 {
		return errors.Join(err, os.Remove(t.partPath()))
	}
	return err
}

// prepared returns what the host has to give, and how much of it is there. What
// the host has prepared before is taken only where a part of it is there: the
// instance may have run since.
func (t *carrying) prepared(ctx context.Context, part *os.File) (prepared fleet.PreparedExport, have int64, err error) {
	begun, beginErr := exportfile.Manifest(part)
	if beginErr == nil {
		prepared, err = t.node.Export(ctx, t.row.ID)
		if err != nil && fleet.CodeOf(err) != fleet.CodeNotFound {
			return prepared, 0, err
		}
	}
	if beginErr != nil || err != nil || prepared.ID != begun.ID {
		if prepared, err = t.prepare(ctx); err != nil {
			return prepared, 0, err
		}
	}
	info, err := part.Stat()
	if err != nil {
		return prepared, 0, err
	}
	have = info.Size()
	if have == 0 {
		return prepared, 0, nil
	}
	if beginErr != nil || prepared.ID != begun.ID || have > prepared.Bytes {
		t.app.note("%s is not the beginning of what the instance is now; beginning again", t.partPath())
		return prepared, 0, part.Truncate(0)
	}
	t.app.note("going on after %d of %d MiB, which are there from before", have>>20, prepared.Bytes>>20)
	return prepared, have, nil
}

// prepare lets the host prepare the export.
func (t *carrying) prepare(ctx context.Context) (fleet.PreparedExport, error) {
	accepted, err := t.node.ExportInstance(ctx, t.row.ID, 0)
	if err != nil {
		return fleet.PreparedExport{}, err
	}
	op, err := t.node.Operation(ctx, accepted.Operation)
	if err == nil {
		_, err = t.app.follow(ctx, t.node, op, "preparing", t.wait)
	}
	if err != nil {
		return fleet.PreparedExport{}, err
	}
	return t.node.Export(ctx, t.row.ID)
}

// take reads what is missing, over as many connections as it takes.
func (t *carrying) take(ctx context.Context, part *os.File, prepared *fleet.PreparedExport, have int64) error {
	bar := t.app.progress("export", prepared.Bytes)
	defer bar.end()
	wait, since := uploadRetry, time.Now()
	for have < prepared.Bytes {
		bar.set(have)
		n, err := t.once(ctx, part, prepared, have, bar)
		if have += n; err == nil {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("export broke off after %d of %d bytes; run the same command to go on: %w", have, prepared.Bytes, ctx.Err())
		}
		if n > 0 {
			wait, since = uploadRetry, time.Now()
		}
		_, local := errors.AsType[*os.PathError](err)
		if code := fleet.CodeOf(err); local || code == fleet.CodeConflict || code == fleet.CodeNotFound || time.Since(since) > uploadPatience {
			return fmt.Errorf("export broke off after %d of %d bytes; run the same command to go on: %w", have, prepared.Bytes, err)
		}
		if !pause.UpTo(ctx, wait) {
			return ctx.Err()
		}
		wait = min(2*wait, uploadRetryMax)
	}
	return nil
}

// once reads over one connection, and returns how much was written.
func (t *carrying) once(ctx context.Context, part *os.File, prepared *fleet.PreparedExport, have int64, bar *progress) (int64, error) {
	content, err := t.node.ReadExport(ctx, t.row.ID, fleet.ExportRange{ID: prepared.ID, Offset: have, Length: prepared.Bytes - have})
	if err != nil {
		return 0, err
	}
	defer content.Close()
	n, err := io.Copy(io.NewOffsetWriter(part, have), bar.reader(content))
	if err == nil && n < prepared.Bytes-have {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// verify reads the file back. One that is damaged goes: nothing of it can be
// trusted to go on from.
func (t *carrying) verify(ctx context.Context, part *os.File, prepared *fleet.PreparedExport) (exportfile.Verified, error) {
	bar := t.app.progress("digests", prepared.Bytes)
	defer bar.end()
	v, err := exportfile.Verify(until(ctx, bar.reader(io.NewSectionReader(part, 0, prepared.Bytes))))
	if err == nil && v.ID != prepared.ID {
		err = fmt.Errorf("%w: it is export %.12s and not %.12s", exportfile.ErrDamaged, v.ID, prepared.ID)
	}
	if errors.Is(err, exportfile.ErrDamaged) || fleet.CodeOf(err) == fleet.CodeInvalid {
		return v, fmt.Errorf("what arrived is not what the host has sent, and is removed; export it again: %w", errors.Join(err, os.Remove(t.partPath())))
	}
	return v, err
}
