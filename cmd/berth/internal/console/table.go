// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/berth-containers/berth/internal/visible"
)

// Columns prints rows, the first of them the heading, aligned. A cell is one line, whatever is in it.
func Columns(out io.Writer, rows [][]string) error {
	var width []int
	for _, r := range rows {
		for i, cell := range r {
			cell = visible.Line(cell)
			r[i] = cell
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b bytes.Buffer
	for _, r := range rows {
		for i, cell := range r {
			b.WriteString(cell)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := out.Write(b.Bytes())
	return err
}
