// SPDX-License-Identifier: Apache-2.0

package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	units "github.com/docker/go-units"
	"github.com/gdamore/tcell/v2"

	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
)

const (
	keptSamples = 120  // of a graph
	keptLines   = 1000 // of a log
)

// model is what is shown, and what keys have changed of it.
type model struct {
	rows  []*row
	known map[string]*row // by ID

	order    int // index into orders
	reverse  bool
	filter   string // part of a name or an image
	typing   bool   // it is being typed
	all      bool   // also containers that do not run
	selected string // ID
	message  string
	question string // that y answers

	logsOf, logsName string // the container whose log is shown; empty for none
	logs             []string
}

// row is a container.
type row struct {
	container       *libctr.Container
	id, name, image string
	status          string
	running         bool
	last            *libctr.Stats
	cpu, memory     float64 // percent
	rx, tx          float64 // bytes a second
	cpus, memories  []float64
	traffic         []float64
}

// orders are what rows can be sorted by; the largest comes first, but for names.
var orders = []struct {
	name    string
	compare func(a, b *row) int
}{
	{"cpu", func(a, b *row) int { return cmp.Compare(b.cpu, a.cpu) }},
	{"memory", func(a, b *row) int { return cmp.Compare(b.used(), a.used()) }},
	{"network", func(a, b *row) int { return cmp.Compare(b.rx+b.tx, a.rx+a.tx) }},
	{"name", func(a, b *row) int { return cmp.Compare(a.name, b.name) }},
}

func (r *row) used() uint64 {
	if r.last == nil {
		return 0
	}
	return r.last.Memory
}

// update takes what a look at the containers has found.
func (m *model) update(list []*libctr.Container, stats []*libctr.Stats) {
	rows := make([]*row, 0, len(list))
	known := map[string]*row{}
	for i, c := range list {
		r := m.known[c.ID]
		if r == nil {
			r = &row{id: c.ID}
		}
		r.container, r.name, r.image = c, visible.Line(c.State.Name), visible.Line(c.State.ImageName)
		r.status, r.running = string(c.State.Status), c.Active()
		r.sample(stats[i])
		rows = append(rows, r)
		known[c.ID] = r
	}
	m.rows, m.known = rows, known
}

func (r *row) sample(s *libctr.Stats) {
	before := r.last
	r.last = s
	if !r.running {
		r.cpu, r.memory, r.rx, r.tx = 0, 0, 0, 0
		return
	}
	r.cpu, r.memory = s.CPUPercent(before), s.MemoryPercent()
	r.rx, r.tx = 0, 0
	if before != nil && before.Started.Equal(s.Started) {
		r.rx, r.tx = perSecond(before.Received(), s.Received(), s.Time.Sub(before.Time)), perSecond(before.Sent(), s.Sent(), s.Time.Sub(before.Time))
	}
	r.cpus, r.memories, r.traffic = keep(r.cpus, r.cpu), keep(r.memories, r.memory), keep(r.traffic, r.rx+r.tx)
}

func perSecond(from, to uint64, passed time.Duration) float64 {
	if to < from || passed <= 0 {
		return 0
	}
	return float64(to-from) / passed.Seconds()
}

func keep(list []float64, v float64) []float64 {
	list = append(list, v)
	if len(list) > keptSamples {
		list = list[len(list)-keptSamples:]
	}
	return list
}

// shown are the rows to show, in their order.
func (m *model) shown() []*row {
	var list []*row
	for _, r := range m.rows {
		if (m.all || r.running) && (strings.Contains(r.name, m.filter) || strings.Contains(r.image, m.filter)) {
			list = append(list, r)
		}
	}
	by := orders[m.order].compare
	slices.SortStableFunc(list, func(a, b *row) int {
		n := cmp.Or(by(a, b), cmp.Compare(a.name, b.name))
		if m.reverse {
			return -n
		}
		return n
	})
	return list
}

// chosen is the row that keys are about; nil where none is shown.
func (m *model) chosen() *row {
	list := m.shown()
	if len(list) == 0 {
		return nil
	}
	return list[max(0, m.index(list))]
}

func (m *model) index(list []*row) int {
	return slices.IndexFunc(list, func(r *row) bool { return r.id == m.selected })
}

// move chooses another row.
func (m *model) move(by int) {
	if list := m.shown(); len(list) > 0 {
		m.selected = list[min(max(max(0, m.index(list))+by, 0), len(list)-1)].id
	}
}

func (m *model) nextOrder() { m.order = (m.order + 1) % len(orders) }

// typeFilter takes a key while the filter is typed.
func (m *model) typeFilter(key tcell.Key, r rune) {
	switch key {
	case tcell.KeyEnter:
		m.typing = false
	case tcell.KeyEscape:
		m.typing, m.filter = false, ""
	case tcell.KeyBackspace, tcell.KeyBackspace2:
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	case tcell.KeyRune:
		m.filter += string(r)
	}
}

func (m *model) addLog(line string) {
	m.logs = append(m.logs, line)
	if len(m.logs) > keptLines {
		m.logs = m.logs[len(m.logs)-keptLines:]
	}
}

// bars draw a graph of one line.
var bars = []rune(" ▁▂▃▄▅▆▇█")

// graph is the last values as a text of so many columns; most is the value of a full bar, 0 the largest of them.
func graph(values []float64, width int, most float64) string {
	if len(values) > width {
		values = values[len(values)-width:]
	}
	if most == 0 {
		for _, v := range values {
			most = max(most, v)
		}
	}
	text := make([]rune, 0, width)
	for range width - len(values) {
		text = append(text, ' ')
	}
	for _, v := range values {
		i := 0
		if most > 0 && v > 0 {
			i = min(1+int(v/most*float64(len(bars)-2)), len(bars)-1)
		}
		text = append(text, bars[i])
	}
	return string(text)
}

func size(n float64) string {
	return units.CustomSize("%.4g%s", n, 1000, []string{"B", "kB", "MB", "GB", "TB"})
}
