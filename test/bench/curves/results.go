package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// result is one benchmark: its name without "Benchmark" and the number of
// processors, and its metrics by unit.
type result struct {
	name    string
	metrics map[string]float64
}

// results are those of one run of the benchmarks, in the order of their names'
// first lines.
type results []result

var processors = regexp.MustCompile(`-[0-9]+$`)

// parse reads lines of the form
//
//	BenchmarkSpread/nodes=1000/rate=100-2   1   38.1 t99-ms   1.29 wire-x
//
// and passes over all others. Of a benchmark with several lines each metric is
// the median.
func parse(r io.Reader) (results, error) {
	var names []string
	values := map[string]map[string][]float64{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 || len(fields)%2 != 0 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		if _, err := strconv.Atoi(fields[1]); err != nil {
			continue
		}
		name := processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")
		if values[name] == nil {
			names = append(names, name)
			values[name] = map[string][]float64{}
		}
		for i := 2; i < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s: metric %s: %w", name, fields[i+1], err)
			}
			values[name][fields[i+1]] = append(values[name][fields[i+1]], v)
		}
	}
	var all results
	for _, name := range names {
		all = append(all, result{name: name, metrics: medians(values[name])})
	}
	return all, lines.Err()
}

func medians(values map[string][]float64) map[string]float64 {
	out := map[string]float64{}
	for unit, v := range values {
		slices.Sort(v)
		out[unit] = (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return out
}

// points returns the benchmarks whose name is the pattern with a number in
// place of its star: that number across, the metric up.
func (r results) points(pattern, unit string) []point {
	before, after, _ := strings.Cut(pattern, "*")
	var out []point
	for _, x := range r {
		middle, ok := strings.CutPrefix(x.name, before)
		if !ok {
			continue
		}
		middle, ok = strings.CutSuffix(middle, after)
		n, err := strconv.ParseFloat(middle, 64)
		v, measured := x.metrics[unit]
		if ok && err == nil && measured {
			out = append(out, point{n, v})
		}
	}
	slices.SortFunc(out, func(a, b point) int { return int(a.X - b.X) })
	return out
}
