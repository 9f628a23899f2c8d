// Command curves draws the pictures of docs/benchmarks.md from what
// `go test -bench` printed: the same figures always give the same bytes.
//
//	curves -in bin/bench.txt -out docs/pictures
//
// A curve whose benchmark is not among the figures is left out, with a line on
// stderr; a picture without any curve is an error.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	in := flag.String("in", "bin/bench.txt", "output of go test -bench")
	out := flag.String("out", "docs/pictures", "folder of the pictures")
	flag.Parse()
	if err := run(*in, *out); err != nil {
		fmt.Fprintln(os.Stderr, "curves:", err)
		os.Exit(1)
	}
}

func run(in, out string) error {
	f, err := os.Open(in)
	if err != nil {
		return fmt.Errorf("read figures (make bench writes them): %w", err)
	}
	defer f.Close()
	results, err := parse(f)
	if err != nil {
		return fmt.Errorf("read figures in %s: %w", in, err)
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for _, p := range pictures {
		c, missing := p.chart(results)
		for _, m := range missing {
			fmt.Fprintf(os.Stderr, "curves: %s: no figures for %s\n", p.file, m)
		}
		if len(c.Curves) == 0 {
			return fmt.Errorf("draw %s: %s has none of its figures", p.file, in)
		}
		if err := os.WriteFile(filepath.Join(out, p.file), c.svg(), 0o644); err != nil {
			return err
		}
	}
	return nil
}
