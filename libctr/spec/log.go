// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	units "github.com/docker/go-units"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// What a log is bounded to where nobody says otherwise (docs/decisions/0031): in all DefaultLogSize times DefaultLogFiles
// bytes, of which all but one file are always the newest of it.
const (
	DefaultLogSize  = 64 << 20
	DefaultLogFiles = 4
)

// ParseLog reads --log-driver and the values of --log-opt. An empty driver is
// k8s-file. Path stays empty unless --log-opt path= names one. MaxSize is -1 where the options ask for no limit, and 0 where
// they say nothing of it.
func ParseLog(driver string, opts []string) (record.Log, error) {
	l := record.Log{Driver: driver}
	switch driver {
	case "":
		l.Driver = "k8s-file"
	case "k8s-file", "json-file", "none", "passthrough":
	case "journald":
		return l, hint.Add(field.Errorf("%s journald is not supported", field.Name("log-driver")), "use %s k8s-file, which is the default", field.Name("log-driver"))
	default:
		return l, field.Errorf("%s %q: want k8s-file, json-file, none or passthrough", field.Name("log-driver"), driver)
	}
	for _, o := range opts {
		if err := logOpt(&l, o); err != nil {
			return l, field.Errorf("%s %q: %w", field.Name("log-opt"), o, err)
		}
	}
	return l, nil
}

func logOpt(l *record.Log, opt string) error {
	key, value, ok := strings.Cut(opt, "=")
	if !ok || value == "" {
		return errors.New("want NAME=value")
	}
	if key != "tag" && l.Driver != "k8s-file" && l.Driver != "json-file" {
		return fmt.Errorf("driver %s writes no file", l.Driver)
	}
	switch key {
	case "path":
		if !filepath.IsAbs(value) {
			return errors.New("the path must be absolute")
		}
		l.Path = filepath.Clean(value)
	case "max-size":
		if value == "-1" {
			l.MaxSize = -1
			return nil
		}
		n, err := units.RAMInBytes(value)
		if err != nil || n < 0 {
			return errors.New("not a size such as 10m, nor -1 for no limit")
		}
		if l.MaxSize = n; n == 0 {
			l.MaxSize = -1
		}
	case "max-file":
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n == 0 {
			return errors.New("want a number of files, at least 1")
		}
		l.MaxFile = int(n)
	case "tag":
		l.Tag = value
	default:
		return errors.New("this option is not supported: path, max-size, max-file and tag are")
	}
	return nil
}
