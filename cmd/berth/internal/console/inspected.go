// SPDX-License-Identifier: Apache-2.0

package console

import (
	"io"
	"regexp"
	"strings"
)

// Inspected prints what an inspect has found, as JSON or through the template of --format.
func Inspected(out io.Writer, found []any, format string) error {
	if format == "" || IsJSON(format) {
		return IndentedJSON(out, found, "     ")
	}
	if !strings.HasSuffix(format, "\n") {
		format += "\n"
	}
	return PrintTemplate(out, "inspect", FieldsOfInspect(format), found, nil)
}

// FieldsOfInspect has a template name the fields as they are: users write .Id, as the JSON has it, where the field is ID.
func FieldsOfInspect(format string) string {
	return regexp.MustCompile(`\.Id\b`).ReplaceAllString(format, ".ID")
}
