package main

import (
	"encoding/json"
	"io"
)

// printJSON prints v, indented, without HTML's escapes.
func printJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "    ")
	return enc.Encode(v)
}
