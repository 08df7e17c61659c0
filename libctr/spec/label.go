// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/berth-containers/berth/internal/field"
)

// ParseLabels reads the values of label or annotation (in), each NAME=value or NAME.
func ParseLabels(in field.Name, values []string) (map[string]string, error) {
	labels := make(map[string]string, len(values))
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		if name == "" {
			return nil, field.Errorf("%s %q: %w", in, v, errNoName)
		}
		labels[name] = value
	}
	return labels, nil
}

var errNoName = errors.New("a name is missing in front of the value")

// ReadLabelFile reads a file given to --label-file: NAME=value a line, comments begin with "#".
func ReadLabelFile(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, field.Errorf("read %s: %w", field.Name("label-file"), err)
	}
	defer f.Close()
	labels := map[string]string{}
	err = eachLine(f, func(n int, line string) error {
		name, value, _ := strings.Cut(line, "=")
		if name == "" {
			return fmt.Errorf("line %d: %w", n, errNoName)
		}
		labels[name] = value
		return nil
	})
	if err != nil {
		return nil, field.Errorf("read %s %s: %w", field.Name("label-file"), path, err)
	}
	return labels, nil
}
