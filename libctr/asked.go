// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

// What a container's record has of the options that it was made with (record.Config.Asked), so that another can be made like it: those that were given, with
// what Update has changed of them. Paths are absolute there. What is for one container alone, or for one call, is left out.

// asked is what is recorded of options.
func (o CreateOptions) asked() (json.RawMessage, error) {
	o.Name, o.Replace, o.IDFile, o.PidFile, o.MonitorPidFile = "", false, "", "", ""
	o.Pull, o.Progress, o.TTYSize, o.CreateCommand = image.PullOptions{}, nil, spec.TTYSize{}, nil
	if err := o.makeAbsolute(); err != nil {
		return nil, err
	}
	given := map[string]any{}
	v := reflect.ValueOf(o)
	for i := range v.NumField() {
		f := v.Field(i)
		if !v.Type().Field(i).IsExported() || f.IsZero() || f.Kind() == reflect.Map && f.Len() == 0 {
			continue
		}
		given[v.Type().Field(i).Name] = f.Interface() // nil is what was not given, an empty list may be
	}
	return json.Marshal(given)
}

// errNotRecorded is for containers whose record does not have what was asked for.
var errNotRecorded = errors.New("it was made by a version of Berth that did not record its options")

// askedOf are the options that a record has.
func askedOf(cfg *record.Config) (o CreateOptions, err error) {
	if len(cfg.Asked) == 0 {
		return o, errNotRecorded
	}
	if err := json.Unmarshal(cfg.Asked, &o); err != nil {
		return o, fmt.Errorf("read the options in its record: %w", err)
	}
	return o, nil
}

// makeAbsolute has no path of the host's depend on the working directory.
func (o *CreateOptions) makeAbsolute() (err error) {
	abs := func(path string) string {
		full, aerr := filepath.Abs(path)
		err = errors.Join(err, aerr)
		return full
	}
	if o.Rootfs != "" {
		path, option := o.Rootfs, ""
		if i := strings.LastIndexByte(path, ':'); i > 0 && !strings.Contains(path[i:], "/") {
			path, option = path[:i], path[i:]
		}
		o.Rootfs = abs(path) + option
	}
	if f := o.HostsFile; f != "" && f != "none" && f != "image" {
		o.HostsFile = abs(f)
	}
	if to := o.Health.LogTo; to != nil && *to != "local" && *to != "events_logger" {
		o.Health.LogTo = new(abs(*to))
	}
	o.SecurityOpt = slices.Clone(o.SecurityOpt)
	for i, word := range o.SecurityOpt {
		if path, ok := strings.CutPrefix(word, "seccomp="); ok && strings.Contains(path, "/") {
			o.SecurityOpt[i] = "seccomp=" + abs(path)
		}
	}
	o.Volumes = slices.Clone(o.Volumes)
	for i, v := range o.Volumes {
		if source, rest, ok := strings.Cut(v, ":"); ok && strings.HasPrefix(source, ".") {
			o.Volumes[i] = abs(source) + ":" + rest
		}
	}
	o.Mounts = slices.Clone(o.Mounts)
	for i, m := range o.Mounts {
		o.Mounts[i] = absoluteMount(m, abs)
	}
	return err
}

// absoluteMount is a value of Mounts whose source does not depend on the working directory.
func absoluteMount(value string, abs func(string) string) string {
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil || !slices.Contains(fields, "type=bind") && !slices.Contains(fields, "type=glob") {
		return value
	}
	for i, f := range fields {
		if key, path, _ := strings.Cut(f, "="); key == "src" || key == "source" {
			fields[i] = key + "=" + abs(path)
		}
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(fields) // a buffer takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// update changes options as an update changes the container.
func (o *CreateOptions) update(u UpdateOptions) error {
	env, err := spec.ParseEnv(u.Env, os.Environ())
	if err != nil {
		return err
	}
	joinLimits(&o.Resources, u.Resources)
	if u.Restart != "" {
		o.Restart = u.Restart
	}
	switch h := u.Health; {
	case h.None:
		o.Health = h
	default:
		if h.Cmd != nil {
			o.Health.None = false
		}
		overlayFields(reflect.ValueOf(&o.Health).Elem(), reflect.ValueOf(h))
	}
	o.Env.Vars, o.Env.Unset = without(o.Env.Vars, u.UnsetEnv), append(without(o.Env.Unset, u.UnsetEnv), u.UnsetEnv...)
	o.Env.Vars = append(without(o.Env.Vars, env), env...)
	o.Ulimits = append(without(o.Ulimits, u.Ulimits), u.Ulimits...)
	return nil
}

// without is a list of NAME or NAME=VALUE without those of the same names as in another.
func without(list, others []string) []string {
	name := func(v string) string { n, _, _ := strings.Cut(v, "="); return n }
	return slices.DeleteFunc(slices.Clone(list), func(v string) bool {
		return slices.ContainsFunc(others, func(o string) bool { return name(o) == name(v) })
	})
}

// joinLimits replaces those limits that another set of them has.
func joinLimits(r *spec.Resources, by spec.Resources) {
	if by.Memory != 0 { // what is not said then follows from it
		r.MemorySwap = 0
	}
	switch {
	case by.NanoCPUs != 0:
		r.CPUPeriod, r.CPUQuota = 0, 0
	case by.CPUPeriod != 0 || by.CPUQuota != 0:
		r.NanoCPUs = 0
	}
	overlayFields(reflect.ValueOf(r).Elem(), reflect.ValueOf(by))
}

// overlayFields sets those fields of a struct that another one has set.
func overlayFields(to, from reflect.Value) {
	for i := range from.NumField() {
		switch f := from.Field(i); {
		case f.Kind() == reflect.Struct:
			overlayFields(to.Field(i), f)
		case !f.IsZero():
			to.Field(i).Set(f)
		}
	}
}
