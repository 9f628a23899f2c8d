// Package testlog is a log that a process or a goroutine writes while a test
// reads it.
package testlog

import (
	"bytes"
	"sync"
)

// Log keeps all that is written to it. The zero value is empty. It may be used
// from several goroutines at once.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what has been written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
