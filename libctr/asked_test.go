// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

func TestWhatIsAskedForIsRecorded(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	if d, err := os.Getwd(); err == nil {
		dir = d // without links
	}
	o := CreateOptions{
		Name: "web", Image: "app", Replace: true, IDFile: "id", Entrypoint: []string{}, Init: new(false), Labels: map[string]string{},
		Volumes: []string{"./a:/a:ro", "name:/b", "/c"}, Mounts: []string{`type=bind,"src=x,y",dst=/x`, "type=volume,src=v,dst=/v"},
		SecurityOpt: []string{"seccomp=./s.json", "seccomp=unconfined", "no-new-privileges"}, HostsFile: "none",
		Pull: image.PullOptions{RegistryOptions: image.RegistryOptions{Creds: "me:secret"}}, Progress: &bytes.Buffer{},
		Resources: spec.Resources{Memory: 5, PidsLimit: new(int64(0))},
	}
	data, err := o.asked()
	if err != nil {
		t.Fatal(err)
	}
	got, err := askedOf(&record.Config{Asked: data})
	if err != nil {
		t.Fatal(err)
	}
	want := CreateOptions{
		Image: "app", Entrypoint: []string{}, Init: new(false), HostsFile: "none",
		Volumes: []string{filepath.Join(dir, "a") + ":/a:ro", "name:/b", "/c"}, Mounts: []string{`type=bind,"src=` + filepath.Join(dir, "x,y") + `",dst=/x`, "type=volume,src=v,dst=/v"},
		SecurityOpt: []string{"seccomp=" + filepath.Join(dir, "s.json"), "seccomp=unconfined", "no-new-privileges"},
		Resources:   spec.Resources{Memory: 5, PidsLimit: new(int64(0))},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("recorded as %s:\ngot  %+v\nwant %+v", data, got, want)
	}
	if o.Volumes[0] != "./a:/a:ro" || o.SecurityOpt[0] != "seccomp=./s.json" {
		t.Error("the caller's options were changed")
	}
}

// A field that is added has to be thought of here: it is recorded unless asked leaves it out, and a path in it has to be made absolute.
func TestEveryOptionIsRecordedOrLeftOut(t *testing.T) {
	left := []string{"Name", "Replace", "IDFile", "PidFile", "MonitorPidFile", "Pull", "Progress", "TTYSize", "CreateCommand"}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[CreateOptions]()) {
		if !f.IsExported() || slices.Contains(left, f.Name) {
			continue
		}
		var o CreateOptions
		v := reflect.ValueOf(&o).Elem().FieldByIndex(f.Index)
		fill(t, v)
		data, err := o.asked()
		if err != nil {
			t.Fatal(err)
		}
		got, err := askedOf(&record.Config{Asked: data})
		if err != nil || !reflect.DeepEqual(got, o) {
			t.Errorf("%s: %v is recorded as %s and read as %v (%v)", f.Name, o, data, got, err)
		}
	}
}

// fill sets a value that is not zero, and is not made absolute.
func fill(t *testing.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("/x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint16, reflect.Uint64:
		v.SetUint(7)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(t, v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v"))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(t, v.Field(i))
		}
	default:
		t.Fatalf("%s: a kind that is not known here", v.Type())
	}
}

func TestAnUpdateChangesWhatWasAskedFor(t *testing.T) {
	o := CreateOptions{
		Env: EnvOptions{Vars: []string{"A=1", "B=2"}}, Ulimits: []string{"nofile=1", "nproc=2"}, Health: spec.HealthFlags{None: true},
		Resources: spec.Resources{Memory: 10, MemorySwap: 15, CPUQuota: 3, CPUPeriod: 4, CPUShares: 5},
	}
	err := o.update(UpdateOptions{
		Env: []string{"A=3"}, UnsetEnv: []string{"B", "C"}, Ulimits: []string{"nofile=9"}, Restart: "always",
		Health: spec.HealthFlags{Cmd: new("true"), Interval: "1s"}, Resources: spec.Resources{Memory: 20, NanoCPUs: 7},
	})
	want := CreateOptions{
		Env: EnvOptions{Vars: []string{"A=3"}, Unset: []string{"B", "C"}}, Ulimits: []string{"nproc=2", "nofile=9"}, Restart: "always",
		Health: spec.HealthFlags{Cmd: new("true"), Interval: "1s"}, Resources: spec.Resources{Memory: 20, NanoCPUs: 7, CPUShares: 5},
	}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("got  %+v\nwant %+v (%v)", o, want, err)
	}
}
