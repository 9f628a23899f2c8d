// Package footprint keeps small what a daemon takes of a host that is there for
// its guests: processors that it does not need, and memory that only its start
// needed.
//
// A Go program touches much of its own file when it starts: the tables of all
// packages that it is linked from. These pages stay mapped for as long as the
// kernel has no need of them, and count as the process's memory though it
// never looks at most of them again.
package footprint

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// span is memory from one address to before another.
type span struct{ from, to uintptr }

// readOnly returns where a file is mapped so that the process cannot have
// changed it, by the lines of a /proc/PID/maps (proc_pid_maps(5)).
func readOnly(maps io.Reader, file string) ([]span, error) {
	var spans []span
	lines := bufio.NewScanner(maps)
	for lines.Scan() {
		var s span
		var access, offset, device, inode string
		line := lines.Text()
		if _, err := fmt.Sscanf(line, "%x-%x %s %s %s %s", &s.from, &s.to, &access, &offset, &device, &inode); err != nil {
			return nil, fmt.Errorf("read line %.80q of maps: %w", line, err)
		}
		_, path, _ := strings.Cut(line, inode+" ")
		if strings.TrimLeft(path, " ") == file && !strings.Contains(access, "w") {
			spans = append(spans, s)
		}
	}
	return spans, lines.Err()
}
