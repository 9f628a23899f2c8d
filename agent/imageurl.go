package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"grapevine/agent/download"
	"grapevine/agent/fetch"
	"grapevine/agent/journal"
	"grapevine/drivers"
	"grapevine/fleet"
	"grapevine/internal/diskhead"
	"grapevine/internal/tracing"
)

// urlSpace is the name space of the locks on URLs.
var urlSpace = fleet.UUID{0x9a, 0x3c, 0x51, 0x0e, 0x77, 0x1d, 0x4b, 0x60, 0xa8, 0x15, 0x69, 0x6d, 0x67, 0x75, 0x72, 0x6c}

// ImportURL implements api.Writer: this host downloads an image, and keeps it.
func (a *Agent) ImportURL(ctx context.Context, host fleet.HostID, req fleet.ImportURL) (fleet.Operation, error) {
	if !host.IsZero() && host != a.hostID {
		return fleet.Operation{}, errorf(fleet.CodeMisdirected, "this is the agent of host %s (%s), and it stores images only there; ask a registry, or the agent of host %s", a.name(), a.hostID, host)
	}
	if err := req.Validate(); err != nil {
		return fleet.Operation{}, err
	}
	if _, ok := a.driver.(drivers.ImageStore); !ok {
		return fleet.Operation{}, errorf(fleet.CodeUnsupported, "host %s stores no images", a.name())
	}
	a.state.mu.Lock()
	op := a.state.newOperation(a.hostID, fleet.InstanceID{}, fleet.VerbImportImage)
	op.URL, op.ImageName = &req, req.Name
	a.state.mu.Unlock()
	if err := written(ctx, "begin", func() error { return a.promised(ctx, op).Begin(*op, nil) }); err != nil {
		return fleet.Operation{}, errorf(fleet.CodeInternal, "%v", err)
	}
	begun := op.Operation
	a.spawnImport(ctx, op)
	return begun, nil
}

// spawnImport runs the operation, once the hypervisor has been seen, until it
// ends or the agent stops; in the latter case the next start goes on with it.
func (a *Agent) spawnImport(ctx context.Context, op *journal.Operation) {
	ctx = tracing.Joined(a.running, ctx)
	a.operations.Go(func() {
		select {
		case <-a.running.Done():
		case <-a.observer.Complete():
			a.executeImport(ctx, op)
		}
	})
}

func (a *Agent) executeImport(ctx context.Context, op *journal.Operation) {
	begun := time.Now()
	ctx, done := a.told.listen(ctx, op.ID)
	defer done()
	ctx, span := a.traceOperation(ctx, op)
	defer span.End(nil)
	im, err := a.importURL(ctx, op)
	if err != nil {
		span.Fail("the image was not downloaded; the log and the operation say why") // the reason may have the URL's query in it
	}
	if ctx.Err() != nil {
		return
	}
	ended := time.Now()
	final := *op
	final.State, final.EndedAt, final.Image = fleet.OperationSucceeded, &ended, im.ID
	if err == nil {
		final.ImageName = im.Name
	} else {
		final.State, final.Fault = fleet.OperationFailed, err.Error()
	}
	if !a.end(ctx, final, journal.Outcome{}) {
		return
	}
	a.metrics.operation(&final, ended.Sub(begun))
	if err != nil {
		a.log.WarnContext(ctx, "image not downloaded", "operation", op.ID, "url", op.URL.URL, "error", err)
		return
	}
	a.log.InfoContext(ctx, "image downloaded", "operation", op.ID, "url", op.URL.URL, "image", im.ID, "bytes", im.Bytes, "took", ended.Sub(begun))
}

// importURL downloads an image and gives it to the hypervisor. Two downloads of
// one URL come one after the other.
func (a *Agent) importURL(ctx context.Context, op *journal.Operation) (fleet.Image, error) {
	defer a.keys.lock(fleet.NewUUIDv5(urlSpace, op.URL.URL))()
	name := sha256.Sum256([]byte(op.URL.URL))
	folder := hex.EncodeToString(name[:])
	f, done := a.shelf.download(op.ID)
	defer done()
	if err := a.step(ctx, op, "downloading"); err != nil {
		return fleet.Image{}, err
	}
	file, err := a.web.Run(ctx, download.Job{
		URL: op.URL.URL, Dir: a.spool.Folder(folder), Room: a.spool.Room,
		Progress: func(done, total int64) { f.done.Store(done); f.total.Store(total) },
	})
	if err != nil {
		if errors.Is(err, download.ErrOutOfSpace) || f.done.Load() == 0 {
			err = errors.Join(err, a.spool.Drop(folder))
		}
		return fleet.Image{}, fmt.Errorf("download: %w", err)
	}
	im, err := a.takeIn(ctx, op, file)
	if ctx.Err() != nil {
		return im, errors.Join(err, file.Close()) // the next start goes on with what is there
	}
	return im, errors.Join(err, file.Close(), a.spool.Drop(folder))
}

// takeIn judges what was downloaded and stores it.
func (a *Agent) takeIn(ctx context.Context, op *journal.Operation, file *os.File) (fleet.Image, error) {
	im, err := describeFile(op.URL, file)
	if err != nil {
		return fleet.Image{}, err
	}
	done, err := a.shelf.use(ctx, im.ID)
	if err != nil {
		return fleet.Image{}, err
	}
	defer done()
	if held, err := a.image(im.ID); err == nil {
		return held, nil
	}
	if err := a.step(ctx, op, "storing"); err != nil {
		return fleet.Image{}, err
	}
	a.renamed(ctx, &im)
	return a.keep(ctx, im, imageFiles{fleet.RoleDisk: file.Name()})
}

// describeFile makes the manifest of a downloaded disk.
func describeFile(req *fleet.ImportURL, file *os.File) (fleet.Image, error) {
	sum := sha256.New()
	size, err := io.Copy(sum, file)
	if err != nil {
		return fleet.Image{}, fmt.Errorf("read spool: %w", err)
	}
	digest := hex.EncodeToString(sum.Sum(nil))
	if req.SHA256 != "" && req.SHA256 != digest {
		return fleet.Image{}, fmt.Errorf("%w: what was downloaded has the sha256 %s, and %s was asked for", fetch.ErrBadContent, digest, req.SHA256)
	}
	f := fleet.ImageFile{Role: fleet.RoleDisk, SHA256: digest, Bytes: size}
	if f.Format, f.VirtualBytes, err = diskhead.Read(file, size); err != nil {
		return fleet.Image{}, fmt.Errorf("what was downloaded %w", err)
	}
	im := fleet.Image{ID: digest, Name: req.Name, Files: []fleet.ImageFile{f}, Bytes: size}
	return im, im.Validate()
}
