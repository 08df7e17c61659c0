// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/journald"
	"github.com/berth-containers/berth/libctr/record"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// journalFields fills record.Log.Fields in: the tag and the labels of --log-opt, of which each may be a template of what inspect
// knows, and the labels and variables that it names, which are left out where the container has none such. A variable goes before a
// label of the same name.
func (e *Engine) journalFields(m *making, oci *specs.Spec) error {
	l := &m.log
	if l.Driver != record.Journald {
		return nil
	}
	env := map[string]string{}
	for _, v := range oci.Process.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	byName := map[string]string{}
	for _, from := range []struct {
		opt  string
		keys []string
		have map[string]string
	}{{"labels", l.LabelKeys, m.cfg.Labels}, {"env", l.EnvKeys, env}} {
		for _, key := range from.keys {
			name := journald.FieldName(key)
			if err := journald.CheckField(name); err != nil {
				return field.Errorf("%s %s=%s: %w", field.Name("log-opt"), from.opt, key, err)
			}
			if value, ok := from.have[key]; ok {
				byName[name] = value
			}
		}
	}
	for _, label := range l.Labels {
		name, text, _ := strings.Cut(label, "=")
		value, err := e.expand(m, oci, text)
		if err != nil {
			return field.Errorf("%s label=%s: %w", field.Name("log-opt"), label, err)
		}
		byName[name] = value
	}
	var fields []string
	if l.Tag != "" {
		tag, err := e.expand(m, oci, l.Tag)
		if err != nil {
			return field.Errorf("%s tag=%s: %w", field.Name("log-opt"), l.Tag, err)
		}
		fields = append(fields, "CONTAINER_TAG="+tag, "SYSLOG_IDENTIFIER="+tag)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		fields = append(fields, name+"="+byName[name])
	}
	m.cfg.Log.Fields = fields
	return nil
}

// expand has a template say what inspect knows of the container.
func (e *Engine) expand(m *making, oci *specs.Spec, text string) (string, error) {
	if !strings.Contains(text, "{{") {
		return text, nil
	}
	t, err := template.New("log-opt").Parse(text)
	if err != nil {
		return "", err
	}
	c := &Container{ID: m.cfg.ID, Dir: m.dir, RunDir: m.runDir, State: &record.State{ID: m.cfg.ID, Name: m.cfg.Name, Status: record.Created}}
	var b strings.Builder
	if err := t.Execute(&b, e.inspect(c, m.cfg, oci)); err != nil {
		return "", fmt.Errorf("what stands in it is that of inspect: %w", err)
	}
	return b.String(), nil
}
