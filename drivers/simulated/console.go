package simulated

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"grapevine/drivers"
	"grapevine/fleet"
)

var _ drivers.ConsoleLogger = (*Driver)(nil)

// maxConsole bounds a machine's console log, in bytes.
const maxConsole = 64 << 10

// print adds to the console log, as a terminal ends lines; the oldest bytes make
// way.
func (m *machine) print(text []byte) {
	log := slices.Concat(m.Console, bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")))
	gone := max(len(log)-maxConsole, 0)
	m.Console, m.Forgotten = log[gone:], m.Forgotten+int64(gone)
}

// printed returns what the machine printed from position on, counted from the
// first byte that it ever printed, or from the oldest kept where that is later,
// and the position of what is returned.
func (m *machine) printed(from int64) ([]byte, int64) {
	from = min(max(from, m.Forgotten), m.Forgotten+int64(len(m.Console)))
	return m.Console[from-m.Forgotten:], from
}

// ConsoleLog implements drivers.ConsoleLogger.
func (d *Driver) ConsoleLog(ctx context.Context, id fleet.InstanceID, part fleet.LogRange) (io.ReadCloser, error) {
	c, done, err := d.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("read console of %s: %w", id, err)
	}
	defer done()
	d.h.mu.Lock()
	defer d.h.mu.Unlock()
	m, ok := d.h.machines[id]
	if !ok {
		return nil, fmt.Errorf("read console of %s: %w", id, drivers.ErrNotFound)
	}
	size := int64(len(m.Console))
	r := &logReader{ctx: ctx, call: c, id: id, pos: m.Forgotten + part.Start(size), end: m.Forgotten + size}
	if part.Follow {
		r.end = -1
	}
	return r, nil
}

// logReader reads a machine's console log.
type logReader struct {
	ctx  context.Context
	call *call
	id   fleet.InstanceID
	pos  int64 // counted from the first byte that the machine ever printed
	end  int64 // -1 to follow
}

// Read implements io.Reader.
func (r *logReader) Read(p []byte) (int, error) {
	for {
		n, more, err := r.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if err := r.call.until(r.ctx, more); err != nil {
			return 0, err
		}
	}
}

// take copies what there is. Where there is nothing yet, more is closed when
// there may be.
func (r *logReader) take(p []byte) (n int, more <-chan struct{}, err error) {
	h := r.call.d.h
	h.mu.Lock()
	defer h.mu.Unlock()
	m, ok := h.machines[r.id]
	if !ok || r.end >= 0 && r.pos >= r.end {
		return 0, nil, io.EOF
	}
	text, from := m.printed(r.pos)
	if r.end >= 0 {
		text = text[:min(int64(len(text)), max(r.end-from, 0))]
		if len(text) == 0 {
			return 0, nil, io.EOF
		}
	}
	n = copy(p, text)
	r.pos = from + int64(n)
	return n, h.stirred, nil
}

// Close implements io.Closer.
func (r *logReader) Close() error { return nil }
