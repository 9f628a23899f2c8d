package cli

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// mood is how a cell feels; it becomes a colour on a terminal.
type mood int

const (
	plain mood = iota
	good
	uneasy
	bad
	faint
)

// ansi are the colours: green, yellow, red, grey.
var ansi = map[mood]string{good: "\x1b[32m", uneasy: "\x1b[33m", bad: "\x1b[31m", faint: "\x1b[90m"}

// cell is one text in a table.
type cell struct {
	text string
	mood mood
}

func text(s string) cell { return cell{text: s} }

func number(n int64) cell { return cell{text: fmt.Sprint(n)} }

// column is a heading and how its cells stand under it.
type column struct {
	title string
	right bool // numbers stand to the right
	// sparse columns are left out when no row has a text in them.
	sparse bool
}

// table is rows under headings, aligned when it is written.
type table struct {
	columns []column
	rows    [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// write renders the table, two blanks between columns, nothing after the last.
func (t *table) write(w io.Writer, colour bool) error {
	widths := t.widths()
	var b strings.Builder
	heading := make([]cell, len(t.columns))
	for i, c := range t.columns {
		heading[i] = cell{c.title, faint}
	}
	for _, row := range append([][]cell{heading}, t.rows...) {
		b.WriteString(strings.TrimRight(t.line(row, widths, colour), " "))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// widths returns the width of each column, 0 for one to leave out.
func (t *table) widths() []int {
	widths := make([]int, len(t.columns))
	for i, c := range t.columns {
		for _, row := range t.rows {
			widths[i] = max(widths[i], utf8.RuneCountInString(visible(row[i].text)))
		}
		if !c.sparse || widths[i] > 0 {
			widths[i] = max(widths[i], utf8.RuneCountInString(c.title))
		}
	}
	return widths
}

func (t *table) line(row []cell, widths []int, colour bool) string {
	var parts []string
	for i, c := range row {
		if widths[i] == 0 {
			continue
		}
		shown := visible(c.text)
		blanks := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(shown))
		if colour && ansi[c.mood] != "" && shown != "" {
			shown = ansi[c.mood] + shown + "\x1b[0m"
		}
		if t.columns[i].right {
			parts = append(parts, blanks+shown)
		} else {
			parts = append(parts, shown+blanks)
		}
	}
	return strings.Join(parts, "  ")
}

// visible makes a text safe to show: names of foreign machines are whatever
// their makers wrote, and must not steer the terminal.
func visible(s string) string {
	if !strings.ContainsFunc(s, unsafe) && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		if unsafe(r) || r == utf8.RuneError {
			return '\ufffd'
		}
		return r
	}, s)
}

func unsafe(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// sheet is one thing in full: a label and a value a line.
type sheet struct {
	labels []string
	values []cell
}

// line adds a line; an empty value is shown as a dash.
func (s *sheet) line(label string, value cell) {
	if value.text == "" {
		value = cell{"-", faint}
	}
	s.labels, s.values = append(s.labels, label), append(s.values, value)
}

func (s *sheet) write(w io.Writer, colour bool) error {
	width := 0
	for _, label := range s.labels {
		width = max(width, len(label))
	}
	for i, label := range s.labels {
		shown := visible(s.values[i].text)
		if colour && ansi[s.values[i].mood] != "" {
			shown = ansi[s.values[i].mood] + shown + "\x1b[0m"
		}
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, label, shown); err != nil {
			return err
		}
	}
	return nil
}
