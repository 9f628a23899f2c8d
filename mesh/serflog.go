package mesh

import (
	"context"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"
)

// repeatAfter is how often the same complaint is logged at most.
const repeatAfter = time.Minute

// serfLog takes the lines that Serf and memberlist log. They are written for
// those libraries' authors, so they go to debug, but for those that a person
// has to act on: these come out as one sentence, now and then.
type serfLog struct {
	log     *slog.Logger
	refuted chan struct{} // of capacity one: memberlist refuted a suspicion

	mu   sync.Mutex
	last map[string]time.Time
	also func(line string) // gets every line too; nil for nobody
}

func newSerfLog(log *slog.Logger) *serfLog {
	return &serfLog{log: log, refuted: make(chan struct{}, 1), last: map[string]time.Time{}}
}

// tell has every line passed on to f too, which must not block.
func (s *serfLog) tell(f func(line string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.also = f
}

// complaints are what a person has to act on, by a part of the line in lower
// case.
var complaints = []struct{ part, sentence string }{
	{"decrypt", wrongKey},
	{"encrypted packet is too small", wrongKey},
	{"remote state is encrypted and encryption is not configured", wrongKey},
	{"encryption is configured but remote state is not encrypted", wrongKey},
	{"unacceptable label", wrongLabel},
	{"label header", wrongLabel},
}

const (
	wrongKey   = "gossip that cannot be decrypted: the sender's gossip key is another; set the same key on every member"
	wrongLabel = "gossip of another fleet: the sender's label is another; check the fleet's label and the join addresses"
)

var fromAddress = regexp.MustCompile(`from=(\S+)`)

// Write implements io.Writer for log.Logger, which calls it once a line.
func (s *serfLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	s.mu.Lock()
	also := s.also
	s.mu.Unlock()
	if also != nil {
		also(text)
	}
	if strings.Contains(text, refuting) {
		notify(s.refuted)
	}
	lower := strings.ToLower(text)
	for _, c := range complaints {
		if strings.Contains(lower, c.part) {
			from := ""
			if match := fromAddress.FindStringSubmatch(text); match != nil {
				from = match[1]
			}
			s.limited(c.sentence, "from", from)
			return len(line), nil
		}
	}
	s.log.Log(context.Background(), slog.LevelDebug, "gossip", "line", text)
	return len(line), nil
}

// limited logs a warning, each sentence once a minute at most.
func (s *serfLog) limited(sentence string, args ...any) {
	s.mu.Lock()
	now := time.Now()
	last, said := s.last[sentence]
	quiet := said && now.Sub(last) < repeatAfter
	if !quiet {
		s.last[sentence] = now
	}
	s.mu.Unlock()
	if !quiet {
		s.log.Warn(sentence, args...) //nolint:sloglint // constants above
	}
}
