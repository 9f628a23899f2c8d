package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
)

// chart is a picture with two logarithmic axes.
type chart struct {
	Title, About string
	X, Y         axis
	Curves       []curve
}

// axis is a range of what is measured, both ends above zero.
type axis struct {
	Label    string
	From, To float64
}

// curve is a line through points. Hollow are points of their own, and Limit,
// unless 0, is where across the curve could not go on.
type curve struct {
	Label  string
	Style  int // which colour and sign
	Points []point
	Hollow []point
	Limit  float64
}

type point struct{ X, Y float64 }

// The picture and the frame in it, in pixels. The right margin is for labels.
const (
	width, height            = 800, 420
	left, top, right, bottom = 70, 70, 540, 360
	labelGap                 = 17
)

// theme is a set of colours, for a light page or a dark one.
type theme struct {
	back, text, faint, grid string
	curves                  [5]string // told apart by most colour-blind people too
}

var (
	light = theme{"#ffffff", "#24292f", "#57606a", "#d0d7de", [5]string{"#8c5a9e", "#c0392b", "#b7791f", "#0b6fb8", "#1a7f5a"}}
	dark  = theme{"#0d1117", "#e6edf3", "#9da7b3", "#30363d", [5]string{"#c792d9", "#ff7b72", "#e3b341", "#58a6ff", "#56d4a0"}}
)

func (t theme) css() string {
	var b strings.Builder
	fmt.Fprintf(&b, ".back{fill:%s}.text{fill:%s}.faint{fill:%s}.grid{stroke:%s}.frame{stroke:%s}\n", t.back, t.text, t.faint, t.grid, t.faint)
	for i, c := range t.curves {
		fmt.Fprintf(&b, ".stroke%d{fill:none;stroke:%s}.fill%d{fill:%s}\n", i, c, i, c)
	}
	return b.String()
}

// style is inside the picture: nothing from elsewhere may be loaded.
func style() string {
	return "text{font-family:system-ui,sans-serif;font-size:13px}.title{font-size:16px;font-weight:600}.small{font-size:11px}.name{font-weight:600}\n" +
		".line{stroke-width:2.2}.hollow{stroke-width:1.6}.limit{stroke-width:1.6;stroke-dasharray:2 4}.lead{stroke-opacity:0.4}\n" +
		light.css() + "@media (prefers-color-scheme:dark){\n" + dark.css() + "}\n"
}

// svg draws the chart.
func (c chart) svg() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>%s</title>\n<desc>%s</desc>\n<style>%s</style>\n", html.EscapeString(c.Title), html.EscapeString(c.About), style())
	fmt.Fprintf(&b, `<rect class="back" width="%d" height="%d" rx="6"/>`+"\n", width, height)
	text(&b, left, 28, "text title", "start", c.Title)
	text(&b, left, 48, "faint small", "start", c.About)
	c.grid(&b)
	labels := c.labels()
	for i, curve := range c.Curves {
		c.draw(&b, curve, labels[i])
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// grid draws the frame, a line for each power of ten and a number for each
// 1, 2 and 5 of it.
func (c chart) grid(b *bytes.Buffer) {
	for _, v := range ticks(c.X) {
		fmt.Fprintf(b, `<path class="grid" d="M%.1f %dV%d"/>`+"\n", c.x(v), top, bottom)
		text(b, c.x(v), bottom+18, "faint small", "middle", number(v))
	}
	for _, v := range ticks(c.Y) {
		fmt.Fprintf(b, `<path class="grid" d="M%d %.1fH%d"/>`+"\n", left, c.y(v), right)
		text(b, left-8, c.y(v)+4, "faint small", "end", number(v))
	}
	fmt.Fprintf(b, `<path class="frame" fill="none" d="M%d %dV%dH%d"/>`+"\n", left, top, bottom, right)
	text(b, (left+right)/2, bottom+40, "text", "middle", c.X.Label)
	fmt.Fprintf(b, `<text class="text" text-anchor="middle" transform="translate(20 %d) rotate(-90)">%s</text>`+"\n", (top+bottom)/2, html.EscapeString(c.Y.Label))
}

func (c chart) draw(b *bytes.Buffer, k curve, label float64) {
	fmt.Fprintf(b, `<path class="line stroke%d" d="`, k.Style)
	for i, p := range k.Points {
		fmt.Fprintf(b, "%s%.1f %.1f", map[bool]string{true: "M", false: "L"}[i == 0], c.x(p.X), c.y(p.Y))
	}
	b.WriteString(`"/>` + "\n")
	for _, p := range k.Points {
		sign(b, "fill", k.Style, c.x(p.X), c.y(p.Y), 3.5)
	}
	for _, p := range k.Hollow {
		sign(b, "hollow stroke", k.Style, c.x(p.X), c.y(p.Y), 7)
	}
	last := k.Points[len(k.Points)-1]
	if k.Limit > last.X {
		fmt.Fprintf(b, `<path class="limit stroke%d" d="M%.1f %.1fH%.1fV%d"/>`+"\n", k.Style, c.x(last.X), c.y(last.Y), c.x(k.Limit), bottom)
	}
	fmt.Fprintf(b, `<path class="lead stroke%d" d="M%.1f %.1fL%d %.1f"/>`+"\n", k.Style, c.x(max(k.Limit, last.X))+6, c.y(last.Y), right+8, label)
	text(b, right+12, label+4, fmt.Sprintf("name fill%d", k.Style), "start", k.Label)
}

// labels says how far down each curve's label stands: beside the curve's end,
// or as near to it as the others leave room.
func (c chart) labels() []float64 {
	at, order := make([]float64, len(c.Curves)), make([]int, len(c.Curves))
	for i, k := range c.Curves {
		at[i], order[i] = c.y(k.Points[len(k.Points)-1].Y), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, at[a]-at[b])) })
	for range 20 * len(order) { // push neighbours apart until none touch
		for i := 1; i < len(order); i++ {
			a, b := order[i-1], order[i]
			if short := labelGap - (at[b] - at[a]); short > 0 {
				at[a] -= short / 2
				at[b] += short / 2
			}
		}
	}
	return at
}

func (c chart) x(v float64) float64 { return left + (right-left)*c.X.share(v) }
func (c chart) y(v float64) float64 { return bottom - (bottom-top)*c.Y.share(v) }

// share is how far along the axis a value is, from 0 to 1.
func (a axis) share(v float64) float64 {
	return math.Log(min(max(v, a.From), a.To)/a.From) / math.Log(a.To/a.From)
}

// ticks are the 1, 2 and 5 of each power of ten, or only the powers where the
// axis is long.
func ticks(a axis) []float64 {
	steps := []float64{1, 2, 5}
	if a.To/a.From > 1000 {
		steps = steps[:1]
	}
	var out []float64
	for power := math.Pow(10, math.Floor(math.Log10(a.From))); power <= a.To; power *= 10 {
		for _, s := range steps {
			if v := power * s; v >= a.From && v <= a.To {
				out = append(out, v)
			}
		}
	}
	return out
}

// number writes a value as people do: 10,000.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	for i := len(s) - 3; i > 0 && v >= 1000; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// sign marks a point, so that curves differ by more than their colours.
func sign(b *bytes.Buffer, class string, style int, x, y, r float64) {
	class += strconv.Itoa(style)
	switch style % 3 {
	case 0:
		fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%.1f"/>`+"\n", class, x, y, r)
	case 1:
		fmt.Fprintf(b, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`+"\n", class, x-r, y-r, 2*r, 2*r)
	default:
		fmt.Fprintf(b, `<path class="%s" d="M%.1f %.1fL%.1f %.1fL%.1f %.1fZ"/>`+"\n", class, x, y-r-1, x+r+1, y+r, x-r-1, y+r)
	}
}

func text(b *bytes.Buffer, x, y float64, class, anchor, s string) {
	fmt.Fprintf(b, `<text class="%s" text-anchor="%s" x="%.1f" y="%.1f">%s</text>`+"\n", class, anchor, x, y, html.EscapeString(s))
}
