package simulated

import (
	"fmt"
	"io"
)

// prompt is what a simulated guest prints when it waits for a line.
const prompt = "> "

// maxLine bounds the line that is being typed, as terminals do.
const maxLine = 4095

// terminal is the serial console of a machine. What the guest prints goes to
// the console log, and is read from there.
type terminal struct {
	*seat
	pos int64 // of the next byte, counted from the first that the machine ever printed
}

// Read implements io.Reader.
func (t *terminal) Read(p []byte) (int, error) {
	for {
		n, more, err := t.take(p)
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		if err := t.wait(more); err != nil {
			return 0, err
		}
	}
}

func (t *terminal) take(p []byte) (int, <-chan struct{}, error) {
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	m, err := t.machine()
	if err != nil {
		return 0, nil, err
	}
	text, from := m.printed(t.pos)
	n := copy(p, text)
	t.pos = from + int64(n)
	return n, t.h.stirred, nil
}

// Write implements io.Writer: it types.
func (t *terminal) Write(p []byte) (int, error) {
	t.h.mu.Lock()
	defer t.h.mu.Unlock()
	m, err := t.machine()
	if err != nil {
		return 0, io.ErrClosedPipe
	}
	typed := *m
	typed.hear(p)
	if err := t.h.keep(&typed); err != nil {
		return 0, fmt.Errorf("type: %w", err)
	}
	return len(p), nil
}

// hear is the guest's side of the terminal: it echoes what is typed, and says
// back each line.
func (m *machine) hear(typed []byte) {
	var said []byte
	line := append([]byte(nil), m.line...)
	for _, b := range typed {
		switch {
		case b == '\r' || b == '\n':
			said = fmt.Appendf(said, "\nsimulated guest: heard %s\n%s", line, prompt)
			line = line[:0]
		case b == 0x7f || b == '\b':
			if len(line) > 0 {
				line = line[:len(line)-1]
				said = append(said, "\b \b"...)
			}
		case len(line) < maxLine:
			line = append(line, b)
			said = append(said, b)
		}
	}
	m.line = line
	m.print(said)
}
