package api

import (
	"math"
	"strconv"
	"strings"
)

// splitRange reads the header "bytes=first-last". An open end is
// math.MaxInt64; of "bytes=-n", the last n bytes, first is -1 and last n.
func splitRange(header string) (first, last int64, ok bool) {
	spec, isBytes := strings.CutPrefix(header, "bytes=")
	from, to, isRange := strings.Cut(strings.TrimSpace(spec), "-")
	if !isBytes || !isRange {
		return 0, 0, false
	}
	first, last = -1, math.MaxInt64
	var known bool
	if from != "" {
		if first, known = decimal(from); !known {
			return 0, 0, false
		}
	}
	if to != "" {
		if last, known = decimal(to); !known {
			return 0, 0, false
		}
	}
	if from == "" && to == "" || first > last && from != "" {
		return 0, 0, false
	}
	return first, last, true
}

// decimal reads digits and nothing else: no sign, no space.
func decimal(s string) (int64, bool) {
	if strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
