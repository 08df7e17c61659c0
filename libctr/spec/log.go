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
	"github.com/berth-containers/berth/libctr/journald"
	"github.com/berth-containers/berth/libctr/record"
)

// What a log is bounded to where nobody says otherwise (docs/decisions/0031): in all DefaultLogSize times DefaultLogFiles
// bytes, of which all but one file are always the newest of it.
const (
	DefaultLogSize  = 64 << 20
	DefaultLogFiles = 4
)

// Log is where the output goes, as flags and configuration say it.
type Log struct {
	record.Log

	// What the entries of journald have besides what all have.
	Labels    []string // NAME=template
	LabelKeys []string // labels of the container's
	EnvKeys   []string // variables of its environment
}

// ParseLog reads --log-driver and the values of --log-opt. An empty driver is
// k8s-file. Path stays empty unless --log-opt path= names one. MaxSize is -1 where the options ask for no limit, and 0 where
// they say nothing of it.
func ParseLog(driver string, opts []string) (Log, error) {
	l := Log{Log: record.Log{Driver: driver}}
	switch driver {
	case "":
		l.Driver = "k8s-file"
	case "k8s-file", "json-file", record.Journald, "none", "passthrough":
	default:
		return l, field.Errorf("%s %q: want k8s-file, json-file, journald, none or passthrough", field.Name("log-driver"), driver)
	}
	for _, o := range opts {
		if err := logOpt(&l, o); err != nil {
			return l, field.Errorf("%s %q: %w", field.Name("log-opt"), o, err)
		}
	}
	return l, nil
}

func logOpt(l *Log, opt string) error {
	key, value, ok := strings.Cut(opt, "=")
	if !ok || value == "" {
		return errors.New("want NAME=value")
	}
	switch key {
	case "path", "max-size", "max-file":
		if l.Driver != "k8s-file" && l.Driver != "json-file" {
			return fmt.Errorf("driver %s writes no file", l.Driver)
		}
	case "label", "labels", "env":
		if l.Driver != record.Journald {
			return fmt.Errorf("driver %s has no fields, which %s adds to: journald has", l.Driver, key)
		}
	case "tag":
	default:
		return errors.New("this option is not supported: path, max-size, max-file, tag, label, labels and env are")
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
	case "label":
		name, _, ok := strings.Cut(value, "=")
		if !ok {
			return errors.New("want label=NAME=value")
		}
		if err := journald.CheckField(name); err != nil {
			return err
		}
		l.Labels = append(l.Labels, value)
	case "labels":
		l.LabelKeys = append(l.LabelKeys, strings.Split(value, ",")...)
	case "env":
		l.EnvKeys = append(l.EnvKeys, strings.Split(value, ",")...)
	}
	return nil
}
