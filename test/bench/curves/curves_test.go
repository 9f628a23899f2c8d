package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const figures = `goos: linux
=== something else
BenchmarkSpread/nodes=1000/rate=100-2   	 1	 40.0 t99-ms	 1.30 wire-x
BenchmarkSpread/nodes=1000/rate=100-2   	 1	 36.0 t99-ms	 1.29 wire-x
BenchmarkSpread/nodes=1000/rate=100-2   	 1	 38.0 t99-ms	 1.31 wire-x
BenchmarkSpread/nodes=10000/rate=100-2  	 1	 42.0 t99-ms	 1.29 wire-x
BenchmarkSpread/nodes=1000/rate=1000-2  	 1	 35.0 t99-ms	 1.24 wire-x
BenchmarkSpreadAlternatives/model-memberlist-lan/nodes=1000/rate=3-2	 1	 6.375 max-rate	 700 t99-ms	 16.3 wire-x
BenchmarkSpreadAlternatives/memberlist-lan/nodes=100/rate=5-2	 1	 552 t99-ms	 12.6 wire-x
--- BENCH: BenchmarkSpreadSockets/nodes=200-2
PASS
`

func parsed(t *testing.T) results {
	t.Helper()
	r, err := parse(strings.NewReader(figures))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOfSeveralLinesTheMedianCounts(t *testing.T) {
	r := parsed(t)
	want := []point{{1000, 38}, {10000, 42}}
	if got := r.points("Spread/nodes=*/rate=100", "t99-ms"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	want = []point{{100, 1.3}, {1000, 1.24}}
	if got := r.points("Spread/nodes=1000/rate=*", "wire-x"); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestFigureThatIsNoNumberIsAnError(t *testing.T) {
	if _, err := parse(strings.NewReader("BenchmarkX-2 1 many t99-ms\n")); err == nil {
		t.Error("it was taken")
	}
}

func TestCurvesWithoutFiguresAreNamed(t *testing.T) {
	c, missing := pictures[0].chart(parsed(t))
	if len(c.Curves) != 3 || len(missing) != 2 || !strings.Contains(missing[0], "Serf") {
		t.Errorf("%d curves, missing %q", len(c.Curves), missing)
	}
	if got := c.Curves[0].Hollow; len(got) != 1 || got[0].Y != 552 {
		t.Errorf("beside the model stands %v, want the library's 552 ms", got)
	}
}

func TestPicturesAreWellFormedAndAlwaysTheSame(t *testing.T) {
	for _, p := range pictures {
		c, _ := p.chart(parsed(t))
		first := c.svg()
		if again, _ := p.chart(parsed(t)); !bytes.Equal(again.svg(), first) {
			t.Errorf("%s: two pictures of the same figures differ", p.file)
		}
		for d := xml.NewDecoder(bytes.NewReader(first)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v\n%s", p.file, err, first)
			}
		}
		for _, k := range c.Curves {
			if !bytes.Contains(first, []byte(">"+strings.ReplaceAll(k.Label, "'", "&#39;")+"<")) {
				t.Errorf("%s does not name %s", p.file, k.Label)
			}
		}
	}
}

func TestLabelsOfEqualCurvesDoNotTouch(t *testing.T) {
	c := chart{X: axis{From: 1, To: 10}, Y: axis{From: 1, To: 10}}
	for range 4 {
		c.Curves = append(c.Curves, curve{Points: []point{{10, 5}}})
	}
	at := c.labels()
	slices.Sort(at)
	for i := 1; i < len(at); i++ {
		if at[i]-at[i-1] < labelGap-1 {
			t.Errorf("labels at %v are too near to one another", at)
		}
	}
}

func TestLogarithmicAxisPutsTheMiddleAtTheRoot(t *testing.T) {
	a := axis{From: 1, To: 100}
	if got := a.share(10); got < 0.499 || got > 0.501 {
		t.Errorf("10 is at %v between 1 and 100, want the middle", got)
	}
	if got := number(12500); got != "12,500" {
		t.Errorf("got %s", got)
	}
}

func TestRunWritesPicturesOrSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "bench.txt")
	if err := run(in, dir); err == nil || !strings.Contains(err.Error(), "make bench") {
		t.Errorf("without figures: %v", err)
	}
	if err := os.WriteFile(in, []byte("PASS\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, dir); err == nil {
		t.Error("a picture without a curve was drawn")
	}
	if err := os.WriteFile(in, []byte(figures), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := run(in, filepath.Join(dir, "pictures")); err != nil {
		t.Fatal(err)
	}
	for _, p := range pictures {
		if _, err := os.Stat(filepath.Join(dir, "pictures", p.file)); err != nil {
			t.Error(err)
		}
	}
}
