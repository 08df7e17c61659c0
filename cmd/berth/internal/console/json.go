// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"encoding/json"
	"io"

	"github.com/berth-containers/berth/internal/visible"
)

// JSON prints v, indented by four spaces, without HTML's escapes.
func JSON(out io.Writer, v any) error { return IndentedJSON(out, v, "    ") }

// IndentedJSON is JSON with another indentation; without any it is one line.
func IndentedJSON(out io.Writer, v any, indent string) error {
	data, err := encodeJSON(v, indent)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

func encodeJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return visible.JSON(b.Bytes()), nil
}
