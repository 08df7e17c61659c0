// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-containers/berth/internal/field"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"
	"go.podman.io/common/pkg/config"
)

// parsed is the flags of a command line, checked, with what containers.conf says.
func parsed(t *testing.T, line string, conf *config.Config) (*Flags, error) {
	t.Helper()
	f := new(Flags)
	f.Bind(pflag.NewFlagSet("build", pflag.ContinueOnError))
	if err := f.set.Parse(strings.Fields(line)); err != nil {
		return nil, err
	}
	if err := f.Check(); err != nil {
		return nil, err
	}
	if err := f.defaults(conf); err != nil {
		return nil, err
	}
	return f, f.layers()
}

func TestFlagsBecomeOptions(t *testing.T) {
	for _, key := range []string{"BUILDAH_LAYERS", "BUILDAH_FORMAT", "BUILDAH_ISOLATION", "SOURCE_DATE_EPOCH"} {
		t.Setenv(key, "")
		os.Unsetenv(key)
	}
	t.Setenv("FROM_ENV", "of the environment")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte("FROM scratch\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".containerignore"), []byte("*.o\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	value := func(get func(*Options) any) func(*Options) any { return get }
	for _, tc := range []struct {
		line string
		get  func(*Options) any
		want any
	}{
		{"", value(func(o *Options) any { return o.Files }), []string{filepath.Join(dir, "Containerfile")}},
		{"", value(func(o *Options) any { return o.Excludes }), []string{"*.o"}},
		{"", value(func(o *Options) any { return o.Names[dir] }), dir},
		{"", value(func(o *Options) any { return o.Layers }), true},
		{"", value(func(o *Options) any { return o.OutputFormat }), define.OCIv1ImageManifest},
		{"", value(func(o *Options) any { return o.PullPolicy }), define.PullIfMissing},
		{"", value(func(o *Options) any { return o.CommonBuildOpts.ShmSize }), "7m"}, // containers.conf's
		{"", value(func(o *Options) any { return o.MaxPullPushRetries }), 9},
		{"--retry 2", value(func(o *Options) any { return o.MaxPullPushRetries }), 2},
		{"--shm-size 8m", value(func(o *Options) any { return o.CommonBuildOpts.ShmSize }), "8m"},
		{"-t a -t b:2", value(func(o *Options) any { return append([]string{o.Output}, o.AdditionalTags...) }), []string{"a", "b:2"}},
		{"--build-arg A=1 --build-arg FROM_ENV --build-arg NONE", value(func(o *Options) any { return o.Args }), map[string]string{"A": "1", "FROM_ENV": "of the environment"}},
		{"--format docker", value(func(o *Options) any { return o.OutputFormat }), define.Dockerv2ImageManifest},
		{"--pull", value(func(o *Options) any { return o.PullPolicy }), define.PullAlways},
		{"--pull=newer", value(func(o *Options) any { return o.PullPolicy }), define.PullIfNewer},
		{"--pull-never", value(func(o *Options) any { return o.PullPolicy }), define.PullNever},
		{"--squash", value(func(o *Options) any { return []bool{o.Layers, o.Squash} }), []bool{false, false}},
		{"--squash-all", value(func(o *Options) any { return []bool{o.Layers, o.Squash} }), []bool{false, true}},
		{"--layers=false", value(func(o *Options) any { return o.Layers }), false},
		{"--no-cache", value(func(o *Options) any { return o.NoCache }), true},
		{"--target x", value(func(o *Options) any { return o.Target }), "x"},
		{"--label a=b --annotation c=d", value(func(o *Options) any { return append(o.Labels, o.Annotations...) }), []string{"a=b", "c=d"}},
		{"--memory 1g --cpu-shares 5", value(func(o *Options) any { return []int64{o.CommonBuildOpts.Memory, int64(o.CommonBuildOpts.CPUShares)} }), []int64{1 << 30, 5}},
		{"--ulimit nofile=1:2", value(func(o *Options) any { return o.CommonBuildOpts.Ulimit }), []string{"nofile=1:2"}},
		{"--cap-add net_raw --cap-drop chown", value(func(o *Options) any { return append(o.AddCapabilities, o.DropCapabilities...) }), []string{"net_raw", "chown"}},
		{"--add-host a=[::1]", value(func(o *Options) any { return o.CommonBuildOpts.AddHost }), []string{"a:::1"}},
		{"--secret id=x,src=/y", value(func(o *Options) any { return o.CommonBuildOpts.Secrets }), []string{"id=x,src=/y"}},
		{"--platform linux/amd64,linux/arm64/v8", value(func(o *Options) any { return len(o.Platforms) }), 2},
		{"--network none", value(func(o *Options) any { return o.ConfigureNetwork }), define.NetworkDisabled},
		{"--network pasta", value(func(o *Options) any { return pathOf(o.NamespaceOptions, string(specs.NetworkNamespace)) }), "pasta"},
		{"--timestamp 0", value(func(o *Options) any { return o.Timestamp.Unix() }), int64(0)},
		{"--jobs 3", value(func(o *Options) any { return *o.Jobs }), 3},
		{"--iidfile /x", value(func(o *Options) any { return o.IIDFile }), "/x"},
		{"-o type=local,dest=/x", value(func(o *Options) any { return o.BuildOutputs }), []string{"type=local,dest=/x"}},
		{"--isolation chroot", value(func(o *Options) any { return o.Isolation }), define.IsolationChroot},
	} {
		t.Run(tc.line, func(t *testing.T) {
			conf := &config.Config{}
			conf.Containers.ShmSize = "7m"
			conf.Engine.Retry = 9
			f, err := parsed(t, tc.line, conf)
			if err != nil {
				t.Fatal(err)
			}
			s := &Session{tmp: t.TempDir()}
			o, err := f.options(t.Context(), s, []string{dir})
			if err != nil {
				t.Fatal(err)
			}
			if got := tc.get(&o); !reflect.DeepEqual(got, tc.want) {
				t.Errorf("got %#v, want %#v", got, tc.want)
			}
		})
	}
}

func pathOf(all define.NamespaceOptions, name string) string {
	if n := all.Find(name); n != nil {
		return n.Path
	}
	return ""
}

// Docker's flags that podman does not have become exports.
func TestFlagsBecomeExports(t *testing.T) {
	for line, want := range map[string][]export{
		"-t a -o type=docker,dest=/x":       {{format: "docker-archive", dest: "/x"}},
		"-o type=oci,dest=/x,tar=false":     {{format: "oci-dir", dest: "/x"}},
		"-o type=oci,dest=-":                {{format: "oci-archive", dest: "-"}},
		"-o type=registry,name=r.example/a": {{}},
		"--push -t r.example/a":             {{}},
		"-o type=image,name=a":              nil,
		"-t a --load":                       nil,
		"--platform linux/amd64,linux/arm64 --push -t r.example/a -t r.example/b": {{}, {names: []string{"r.example/b"}}},
	} {
		f, err := parsed(t, line, &config.Config{})
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if !reflect.DeepEqual(f.docker.exports, want) {
			t.Errorf("%s: got %+v, want %+v", line, f.docker.exports, want)
		}
		if got := f.ToStdout(); got != strings.HasSuffix(line, "dest=-") {
			t.Errorf("%s: to standard output: %v", line, got)
		}
	}
}

func TestFlagsThatContradict(t *testing.T) {
	for line, want := range map[string]string{
		"--squash --squash-all":           "exclude each other",
		"--progress loud":                 "--progress",
		"--cw x":                          "--cw",
		"--provenance=true":               "--provenance",
		"--attest type=sbom":              "--attest",
		"--allow security.insecure":       "--allow",
		"--no-cache-filter x":             "--no-cache-filter",
		"--check":                         "--check",
		"-o type=oci":                     "dest=FILE is missing",
		"-o type=strange,dest=/x":         "strange",
		"-o type=docker,dest=/x,foo=bar":  "foo=bar",
		"--cache-from type=gha":           "must be registry",
		"--cache-to type=registry,mode=x": "ref=REPOSITORY is missing",
		"--push":                          "the image has no name",
	} {
		if _, err := parsed(t, line, &config.Config{}); err == nil || !strings.Contains(field.Text(err, field.Flag), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}
