package mesh

import (
	"errors"
	"net"
	"sync"
)

// errStreamTooLong ends a gossip stream that brings more than one may.
var errStreamTooLong = errors.New("the gossip stream brings more than a fleet's members take")

// boundedStream is a stream that came in. It brings at most so many bytes, and
// makes room for another when it is closed.
type boundedStream struct {
	net.Conn
	left  int // bytes that may still come; one goroutine reads
	leave func(net.Addr)
	once  sync.Once
}

// Read implements net.Conn.
func (s *boundedStream) Read(b []byte) (int, error) {
	if s.left <= 0 {
		return 0, errStreamTooLong
	}
	n, err := s.Conn.Read(b[:min(len(b), s.left)])
	s.left -= n
	return n, err
}

// Close implements net.Conn.
func (s *boundedStream) Close() error {
	s.once.Do(func() { s.leave(s.RemoteAddr()) })
	return s.Conn.Close()
}
