// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"go.podman.io/common/pkg/config"
)

// Every key that the library reads is either honoured, and has a test, or is named by info as not used; a key that a newer
// library brings fails here.
func TestConfKeys(t *testing.T) {
	tests, err := os.ReadFile("../test/containersconf.bats")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{"containers.no_new_privileges": true} // Berth's own
	sections := reflect.TypeFor[config.Config]()
	for i := range sections.NumField() {
		section := tomlName(sections.Field(i))
		if section == "" {
			continue
		}
		known[section] = true
		for _, key := range keysOf(sections.Field(i).Type) {
			name := section + "." + key
			known[name] = true
			why, ok := confKey(name)
			if !ok {
				t.Errorf("%s is neither honoured nor named as not used: add it to confKeys", name)
			}
			if ok && why == "" && !strings.Contains(string(tests), "# "+name+"\n") {
				t.Errorf("%s is honoured, but test/containersconf.bats has no test under \"# %s\"", name, name)
			}
		}
	}
	for line := range strings.Lines(confKeys) {
		if key, _, _ := strings.Cut(strings.TrimSpace(line), ": "); key != "" && !known[key] {
			t.Errorf("confKeys has %s, which the library does not know", key)
		}
	}
	if _, ok := confKey("engine.no_such_key"); ok {
		t.Error("a key that does not exist is known")
	}
}

// keysOf lists the keys of a section, those of embedded structures too.
func keysOf(section reflect.Type) (keys []string) {
	for i := range section.NumField() {
		f := section.Field(i)
		if f.Anonymous {
			keys = append(keys, keysOf(f.Type)...)
		} else if name := tomlName(f); name != "" {
			keys = append(keys, name)
		}
	}
	return keys
}

func tomlName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
	if name == "-" || !f.IsExported() {
		return ""
	}
	return name
}
