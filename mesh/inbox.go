package mesh

import (
	"bufio"
	"errors"
	"time"

	"grapevine/mesh/replica"
	"grapevine/mesh/wire"
)

// inbox is the reading half of a stream. Frames that bring whole blocks are
// merged by the node while the next one is read and prepared, so that a node
// that is filled uses two processors and not one. There are two readers for
// that, of which one frame each is valid.
type inbox struct {
	source  *bufio.Reader
	reader  *wire.Reader // of the next frame
	spare   *wire.Reader // of the frame that is being merged; nil for none
	checks  []replica.Check
	merging chan error // what comes of that; nil while there is none
}

// bulkRows is from how many rows of whole blocks on a frame is merged beside
// the next one.
const bulkRows = 256

// read takes the peer's messages until the stream ends.
func (m *Mesh) read(s *stream) error {
	in := &s.inbox
	in.reader = wire.NewReader(in.source)
	for {
		msg, _, err := in.reader.Read()
		bulk := err == nil && prepare(msg)
		if earlier := in.merged(); earlier != nil {
			return earlier
		}
		if bulk {
			in.merge(func() error { return m.receive(s, msg, nil) })
			continue
		}
		in.spare = nil
		if err := m.receive(s, msg, err); err != nil {
			return err
		}
	}
}

// receive gives the node a message, or tells it why there is none.
func (m *Mesh) receive(s *stream, msg wire.Message, err error) error {
	if err == nil && m.cfg.Verifier != nil {
		m.check(s, msg)
	}
	m.do(func(now time.Time) {
		if err == nil {
			err = m.node.Receive(s.link, msg, now)
		} else if errors.Is(err, wire.ErrBadFrame) {
			m.node.BrokeProtocol(s.link, err)
		}
	})
	return err
}

// check looks at the signatures of what came while other links go on: it takes
// several times as long as all else about a change.
func (m *Mesh) check(s *stream, msg wire.Message) {
	if _, ok := msg.(*wire.Answer); !ok {
		return
	}
	m.mu.Lock()
	checks := m.node.Checks(s.link, msg, s.inbox.checks[:0])
	m.mu.Unlock()
	for i := range checks {
		checks[i].Do()
	}
	clear(checks) // they point into a frame
	s.inbox.checks = checks
}

// merge starts f, which takes in the last frame read, and goes on to the other
// reader.
func (in *inbox) merge(f func() error) {
	if in.spare == nil {
		in.spare = wire.NewReader(in.source)
	}
	in.reader, in.spare = in.spare, in.reader
	done := make(chan error, 1)
	in.merging = done
	go func() { done <- f() }()
}

// merged waits until the frame before is merged, if there is one.
func (in *inbox) merged() error {
	if in.merging == nil {
		return nil
	}
	err := <-in.merging
	in.merging = nil
	return err
}

// prepare does ahead what can be done of merging the whole blocks in msg, and
// reports whether there is so much in it that it was worth it.
func prepare(msg wire.Message) bool {
	answer, ok := msg.(*wire.Answer)
	if !ok {
		return false
	}
	rows := 0
	for i := range answer.Deltas {
		if d := &answer.Deltas[i]; d.Form == wire.Whole {
			rows += len(d.Rows)
		}
	}
	if rows < bulkRows {
		return false
	}
	replica.Prepare(answer.Deltas)
	return true
}
