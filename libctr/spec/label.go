package spec

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// ParseLabels reads the values of flag (--label, --annotation), each NAME=value or NAME.
func ParseLabels(flag string, values []string) (map[string]string, error) {
	labels := make(map[string]string, len(values))
	for _, v := range values {
		name, value, _ := strings.Cut(v, "=")
		if name == "" {
			return nil, fmt.Errorf("%s %q: %w", flag, v, errNoName)
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
		return nil, fmt.Errorf("read --label-file: %w", err)
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
		return nil, fmt.Errorf("read --label-file %s: %w", path, err)
	}
	return labels, nil
}
