package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// printColumns prints rows, the first of them the heading, aligned.
func printColumns(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t"))
	}
	return w.Flush()
}
