package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// progress returns where a pull, load or save tells what it does: standard error with
// moving bars if that is a terminal, and nobody in a pipe or with --quiet.
func progress(quiet bool) io.Writer {
	if quiet || !term.IsTerminal(int(os.Stderr.Fd())) {
		return nil
	}
	return os.Stderr
}
