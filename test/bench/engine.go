// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const image = "localhost/busybox:latest"

// engine is one of the programs compared, with a store and settings of its own.
type engine struct {
	name string // berth, podman, crun
	path string
	args []string // in front of every command
	env  []string
}

type engines struct {
	berth, podman, crun *engine
	bundle              string // for bare crun: a rootless bundle whose process is `true`
	dir, runDir         string // where all is kept, and what ends with the boot
	archive             string // the image
}

// run runs the engine's command and returns how long it took from the caller's view. The
// error holds what the command wrote.
func (e *engine) run(ctx context.Context, args ...string) (time.Duration, error) {
	_, took, err := e.output(ctx, args...)
	return took, err
}

func (e *engine) output(ctx context.Context, args ...string) (string, time.Duration, error) {
	cmd := exec.CommandContext(ctx, e.path, append(append([]string{}, e.args...), args...)...)
	cmd.Env = append(os.Environ(), e.env...)
	// To files, as pipes would be waited for and read by this process too.
	var stdout, stderr *os.File
	for _, f := range []**os.File{&stdout, &stderr} {
		var err error
		if *f, err = os.CreateTemp("", "out-"); err != nil {
			return "", 0, err
		}
		defer os.Remove((*f).Name())
		defer (*f).Close()
	}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	start := time.Now()
	err := cmd.Run()
	took := time.Since(start)
	out, _ := os.ReadFile(stdout.Name())
	if err != nil {
		msg, _ := os.ReadFile(stderr.Name())
		err = fmt.Errorf("%s %s: %w: %s", e.name, strings.Join(args, " "), err, bytes.TrimSpace(msg))
	}
	return string(out), took, err
}

// newEngines gives each engine a store below dir and a runtime directory below run, and puts the image into it.
func newEngines(ctx context.Context, dir, run string, opts options) (*engines, error) {
	berth, err := filepath.Abs(opts.berth)
	if err != nil {
		return nil, err
	}
	es := &engines{crun: &engine{name: "crun", path: "crun"}, dir: dir, runDir: run, archive: opts.archive}
	if es.berth, err = newEngine("berth", berth, filepath.Join(dir, "b"), filepath.Join(run, "b")); err != nil {
		return nil, err
	}
	if es.podman, err = newEngine("podman", "podman", filepath.Join(dir, "p"), filepath.Join(run, "p")); err != nil {
		return nil, err
	}
	for _, e := range []*engine{es.berth, es.podman} {
		if _, err := e.run(ctx, "load", "-q", "-i", opts.archive); err != nil {
			return nil, err
		}
	}
	return es, es.newBundle(ctx, filepath.Join(dir, "c"), filepath.Join(run, "c"), opts.archive)
}

// newEngine writes the configuration of an engine that keeps everything below dir and run.
func newEngine(name, path, dir, run string) (*engine, error) {
	for _, d := range []string{filepath.Join(dir, "home/.config/containers"), run} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	containersConf := "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"file\"\n"
	if !cgroupV2() {
		containersConf += "[containers]\ncgroups = \"disabled\"\n"
	}
	if name == "berth" {
		containersConf = "" // it finds out by itself
	}
	for file, text := range map[string]string{
		"storage.conf": fmt.Sprintf("[storage]\ndriver = \"overlay\"\ngraphroot = %q\nrunroot = %q\n",
			filepath.Join(dir, "store"), filepath.Join(run, "c")),
		"containers.conf":                     containersConf,
		"registries.conf":                     "",
		"home/.config/containers/policy.json": `{"default":[{"type":"insecureAcceptAnything"}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return &engine{name: name, path: path, env: []string{
		"HOME=" + filepath.Join(dir, "home"),
		"XDG_RUNTIME_DIR=" + run,
		"CONTAINERS_STORAGE_CONF=" + filepath.Join(dir, "storage.conf"),
		"CONTAINERS_CONF=" + filepath.Join(dir, "containers.conf"),
		"CONTAINERS_REGISTRIES_CONF=" + filepath.Join(dir, "registries.conf"),
	}}, nil
}

// newBundle unpacks the image for bare crun, into a bundle that runs `true` in the
// namespaces of a rootless container without a network.
func (es *engines) newBundle(ctx context.Context, dir, run, archive string) error {
	es.bundle = dir
	script := `set -e
mkdir -p "$1/rootfs" "$1/x" "$3"
tar -xf "$2" -C "$1/x"
for l in "$1"/x/*.tar; do tar --no-same-owner -xf "$l" -C "$1/rootfs"; done
rm -rf "$1/x"
cd "$1"
crun spec --rootless`
	if out, err := exec.CommandContext(ctx, "bash", "-c", script, "-", dir, archive, run).CombinedOutput(); err != nil {
		return fmt.Errorf("make a bundle for crun: %w: %s", err, out)
	}
	es.crun.args = []string{"--root", run}
	if !cgroupV2() {
		es.crun.args = append(es.crun.args, "--cgroup-manager=disabled")
	}
	return es.setArgs("true")
}

// setArgs makes the bundle's process run args.
func (es *engines) setArgs(args ...string) error {
	file := filepath.Join(es.bundle, "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var spec map[string]any
	if err := json.Unmarshal(data, &spec); err != nil {
		return err
	}
	process := spec["process"].(map[string]any)
	process["args"], process["terminal"] = args, false
	if data, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// close removes every container, and ends podman's process that keeps its user namespace.
func (es *engines) close(ctx context.Context) {
	for _, e := range []*engine{es.berth, es.podman} {
		if _, err := e.run(ctx, "rm", "-fa", "-t", "0"); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}
	if _, err := es.podman.run(ctx, "system", "migrate"); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
}

// removeAll removes dir and what containers left in it under other user IDs.
func removeAll(ctx context.Context, dir string) error {
	out, err := exec.CommandContext(ctx, "unshare", "--map-auto", "--map-root-user", "rm", "-rf", dir).CombinedOutput()
	if err != nil {
		return fmt.Errorf("remove %s: %w: %s", dir, err, out)
	}
	return nil
}

func cgroupV2() bool {
	_, err := os.Stat("/sys/fs/cgroup/cgroup.controllers")
	return err == nil
}
