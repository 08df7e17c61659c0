// SPDX-License-Identifier: Apache-2.0

package live

import (
	"fmt"
	"slices"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"
)

const graphWidth = 12

var (
	plain   = tcell.StyleDefault
	heading = plain.Bold(true)
	chosen  = plain.Reverse(true)
	faint   = plain.Dim(true)
)

// column is a column of the table.
type column struct {
	heading string
	width   int
	right   bool
	text    func(r *row) string
}

// roomy is the width from which on there is room for all graphs.
const roomy = 118

func columns(width int) []column {
	list := []column{
		{"NAME", 20, false, func(r *row) string { return r.name }},
		{"STATUS", 8, false, func(r *row) string { return r.status }},
		{"CPU %", 7, true, func(r *row) string { return fmt.Sprintf("%.1f", r.cpu) }},
		{"", graphWidth, false, func(r *row) string { return graph(r.cpus, graphWidth, 100) }},
		{"MEMORY", 9, true, func(r *row) string { return size(float64(r.used())) }},
		{"%", 5, true, func(r *row) string { return fmt.Sprintf("%.1f", r.memory) }},
		{"", graphWidth, false, func(r *row) string { return graph(r.memories, graphWidth, 100) }},
		{"IN/s", 8, true, func(r *row) string { return size(r.rx) }},
		{"OUT/s", 8, true, func(r *row) string { return size(r.tx) }},
		{"", graphWidth, false, func(r *row) string { return graph(r.traffic, graphWidth, 0) }},
		{"PIDS", 5, true, func(r *row) string {
			if r.last == nil {
				return ""
			}
			return fmt.Sprint(r.last.PIDs)
		}},
		{"IMAGE", 40, false, func(r *row) string { return r.image }},
	}
	if width < roomy {
		list = slices.DeleteFunc(list, func(c column) bool { return c.heading == "" })
	}
	return list
}

// draw fills the screen.
func (m *model) draw(s tcell.Screen) {
	s.Clear()
	width, height := s.Size()
	if m.logsOf != "" {
		m.drawLogs(s, width, height)
		return
	}
	list := m.shown()
	up := ""
	if m.reverse {
		up = ", reversed"
	}
	what := "running"
	if m.all {
		what = "all"
	}
	put(s, 0, 0, width, heading, fmt.Sprintf("%d of %d containers (%s), by %s%s", len(list), len(m.rows), what, orders[m.order].name, up))
	x := 0
	for _, c := range columns(width) {
		c.put(s, x, 2, width, heading, c.heading)
		x += c.width + 1
	}
	at := max(0, m.index(list))
	space := max(height-5, 1)
	for i := max(0, at-space+1); i < len(list) && i-max(0, at-space+1) < space; i++ {
		style := plain
		switch {
		case i == at:
			style = chosen
		case !list[i].running:
			style = faint
		}
		x := 0
		for _, c := range columns(width) {
			c.put(s, x, 3+i-max(0, at-space+1), width, style, c.text(list[i]))
			x += c.width + 1
		}
	}
	bottom, style := "q quit  ↑↓ choose  s sort  r reverse  / filter  a all  l logs  e exec  x stop", faint
	switch {
	case m.question != "":
		bottom, style = m.question, heading
	case m.typing:
		bottom, style = "filter: "+m.filter+"_", heading
	case m.message != "":
		bottom, style = m.message, heading
	case m.filter != "":
		bottom = "filter: " + m.filter + "  (Esc clears it)  " + bottom
	}
	put(s, 0, height-1, width, style, bottom)
}

func (c column) put(s tcell.Screen, x, y, width int, style tcell.Style, text string) {
	if gap := c.width - uniseg.StringWidth(text); gap > 0 && c.right {
		put(s, x, y, width, style, spaces(gap))
		x += gap
		put(s, x, y, min(width, x+c.width-gap), style, text)
		return
	} else if gap > 0 {
		text += spaces(gap)
	}
	put(s, x, y, min(width, x+c.width), style, text)
	put(s, x+c.width, y, width, style, " ")
}

func spaces(n int) string { return fmt.Sprintf("%*s", n, "") }

// put writes a text, as far as there is room before column end.
func put(s tcell.Screen, x, y, end int, style tcell.Style, text string) {
	for g := uniseg.NewGraphemes(text); g.Next(); {
		w := g.Width()
		if x+w > end {
			return
		}
		runes := g.Runes()
		s.SetContent(x, y, runes[0], runes[1:], style)
		x += w
	}
}

func (m *model) drawLogs(s tcell.Screen, width, height int) {
	put(s, 0, 0, width, heading, "Log of "+m.logsName)
	lines := m.logs
	if space := max(height-3, 1); len(lines) > space {
		lines = lines[len(lines)-space:]
	}
	for i, line := range lines {
		put(s, 0, 1+i, width, plain, line)
	}
	put(s, 0, height-1, width, faint, "q back")
}
