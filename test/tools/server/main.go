// SPDX-License-Identifier: Apache-2.0

// Server uses Berth's library as a server would, in one process that goes on: server BERTH DIR. It has builds at once of which it
// cancels one, and looks at what is left of them; and its one engine has to see what other processes, commands of BERTH, do to the store. DIR is an empty
// directory. It prints what is wrong.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
)

const base = "localhost/busybox"

func main() {
	err := libctr.Enter()
	debug.SetGCPercent(-1) // a collection would close files that have been forgotten
	if err == nil {
		err = serve(context.Background(), os.Args[1], os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, berth, dir string) error {
	e, err := libctr.Open(ctx, libctr.Options{Program: berth})
	if err != nil {
		return err
	}
	s := &server{e, berth, dir}
	if err := s.build(ctx, "first", "RUN true", nil); err != nil { // what is opened once is open now
		return fmt.Errorf("the first build: %w", err)
	}
	before := s.have()
	if err := s.builds(ctx); err != nil {
		return err
	}
	if err := s.streams(ctx); err != nil {
		return err
	}
	if err := s.containers(ctx); err != nil {
		return err
	}
	if err := s.nothingLeft(before); err != nil {
		return err
	}
	return s.others(ctx)
}

type server struct {
	e          *libctr.Engine
	berth, dir string
}

// watch calls do with each event.
type watch func(build.Event)

func (w watch) Show(e build.Event) { w(e) }
func (watch) Close()               {}

func (s *server) build(ctx context.Context, name, text string, seen watch) error {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if !strings.HasPrefix(text, "FROM") {
		text = "FROM " + base + "\n" + text + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(text), 0o600); err != nil {
		return err
	}
	r := build.Request{Context: dir, Tags: []string{"localhost/" + name}, Network: "none", NoCache: true}
	if seen != nil {
		r.Progress = seen
	}
	_, err := build.Run(ctx, s.e, r)
	return err
}

// builds has four builds at work at the same time: two that succeed, one that is cancelled while they all are, and one of several stages that fails.
func (s *server) builds(ctx context.Context) error {
	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	var works sync.WaitGroup
	works.Add(2)
	begin := func(e build.Event) {
		if e.Kind == build.Output && e.Text == "at work" {
			works.Done()
		}
	}
	go func() {
		works.Wait()
		cancel()
	}()
	var all sync.WaitGroup
	var errs [4]error
	all.Go(func() { errs[0] = s.build(ctx, "good", "RUN echo at work; sleep 3; echo good >/good", begin) })
	all.Go(func() { errs[1] = s.build(cancelled, "cancelled", "RUN echo at work; sleep 1000", begin) })
	all.Go(func() {
		errs[2] = s.build(ctx, "bad", "FROM "+base+" AS a\nRUN sleep 1; exit 7\nFROM "+base+" AS b\nRUN sleep 30\nFROM "+base+"\nCOPY --from=a / /a\nCOPY --from=b / /b\n", nil)
	})
	all.Go(func() { errs[3] = s.build(ctx, "also", "RUN sleep 2", nil) })
	all.Wait()

	var step *build.StepError
	switch {
	case errs[0] != nil || errs[3] != nil:
		return fmt.Errorf("the builds that were left alone: %w", errors.Join(errs[0], errs[3]))
	case !errors.Is(errs[1], context.Canceled):
		return fmt.Errorf("the cancelled build ended with: %v", errs[1])
	case !errors.As(errs[2], &step) || step.Code != 7 || step.Line != 2:
		return fmt.Errorf("the failed build ended with: %v", errs[2])
	}
	for name, want := range map[string]bool{"good": true, "also": true, "cancelled": false, "bad": false} {
		if got := s.seesImage("localhost/" + name); got != want {
			return fmt.Errorf("image %s: is there: %v, want %v", name, got, want)
		}
	}
	return nil
}

// streams builds from a context that comes through Stdin, with a secret of the environment, and has the files of the result written to Stdout; and
// it sends requests that are wrong.
func (s *server) streams(ctx context.Context) error {
	var in, out bytes.Buffer
	w := tar.NewWriter(&in)
	for name, text := range map[string]string{
		"Containerfile": "FROM " + base + " AS made\nRUN --mount=type=secret,id=word cp /run/secrets/word /word\nFROM scratch\nCOPY --from=made /word /\nCOPY file /\n",
		"file":          "of the context",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}); err != nil {
			return err
		}
		if _, err := w.Write([]byte(text)); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := build.Run(ctx, s.e, build.Request{
		Context: "-", Stdin: &in, Stdout: &out, Outputs: []string{"type=tar,dest=-"}, Network: "none",
		Secrets: []string{"id=word,env=WORD"}, Env: []string{"WORD=hidden"},
	})
	if err != nil {
		return fmt.Errorf("a context from standard input: %w", err)
	}
	got := map[string]string{}
	for r := tar.NewReader(&out); ; {
		h, err := r.Next()
		if err != nil {
			break
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		got[h.Name] = string(data)
	}
	if got["word"] != "hidden" || got["file"] != "of the context" {
		return fmt.Errorf("the files of the result: %q", got)
	}

	var wrong *libctr.FieldError
	for name, r := range map[string]build.Request{
		"squash":  {Context: s.dir, Squash: true, SquashAll: true},
		"network": {Context: filepath.Join(s.dir, "first"), Network: "container:nobody"},
	} {
		if _, err := build.Run(ctx, s.e, r); !errors.As(err, &wrong) || string(wrong.Field) != name {
			return fmt.Errorf("a request whose field %s is wrong: %w", name, err)
		}
	}
	return nil
}

// containers runs one to its end, one that cannot be started, and one that is cancelled; nothing is left of any.
func (s *server) containers(ctx context.Context) error {
	var out strings.Builder
	code, err := s.e.RunOnce(ctx, libctr.CreateOptions{Image: base, Args: []string{"sh", "-c", "echo out; exit 4"}}, libctr.Streams{Stdout: &out})
	if err != nil || code != 4 || out.String() != "out\n" {
		return fmt.Errorf("a container that ends: exit code %d, output %q, error %w", code, out.String(), err)
	}
	var failed *libctr.StartError
	if _, err := s.e.RunOnce(ctx, libctr.CreateOptions{Image: base, Args: []string{"/nothing"}}, libctr.Streams{}); !errors.As(err, &failed) || failed.Code != 127 {
		return fmt.Errorf("a command that is not there: %w", err)
	}
	cancelled, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if _, err := s.e.RunOnce(cancelled, libctr.CreateOptions{Image: base, Args: []string{"sleep", "1000"}}, libctr.Streams{}); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("a container that is cancelled: %w", err)
	}
	left, err := s.e.List(ctx)
	if len(left) > 0 {
		return fmt.Errorf("%d containers are left", len(left))
	}
	return err
}

func (s *server) seesImage(name string) bool {
	_, err := s.e.ImageView().Lookup(name, image.LookupOptions{})
	return err == nil
}

// have is what a process may leak.
func (s *server) have() map[string][]string {
	goroutines := make([]string, runtime.NumGoroutine())
	files, _ := filepath.Glob("/proc/self/fd/*")
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", os.Getpid()))
	var pids []string
	for _, file := range children {
		data, _ := os.ReadFile(file)
		pids = append(pids, strings.Fields(string(data))...)
	}
	temporary, _ := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	sessions, _ := filepath.Glob(filepath.Join(s.e.DataDir(), "builds", "*"))
	locks, _ := filepath.Glob(filepath.Join(s.e.RuntimeDir(), "builds", "*"))
	return map[string][]string{"goroutines": goroutines, "open files": files, "children": pids, "temporary files": temporary, "sessions": sessions, "locks": locks}
}

// nothingLeft compares what there is with what there was; goroutines and files may take a moment to end.
func (s *server) nothingLeft(before map[string][]string) (err error) {
	for range 50 {
		err = nil
		for what, now := range s.have() {
			if len(now) > len(before[what]) {
				err = errors.Join(err, fmt.Errorf("%s are left: %d, were %d: %q", what, len(now), len(before[what]), now))
			}
		}
		if err == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	stack := make([]byte, 1<<20)
	return fmt.Errorf("%w\n%s", err, stack[:runtime.Stack(stack, true)])
}

// others looks at the store, through the same engine, after each of several commands of other processes.
func (s *server) others(ctx context.Context) error {
	for _, step := range []struct {
		command string
		sees    func() (bool, error)
	}{
		{"tag localhost/good localhost/other", func() (bool, error) { return s.seesImage("localhost/other"), nil }},
		{"create --name theirs localhost/other true", func() (bool, error) { return s.seesContainer(ctx, "theirs") }},
		{"rename theirs renamed", func() (bool, error) { return s.seesContainer(ctx, "renamed") }},
		{"run --name ran localhost/other true", func() (bool, error) {
			c, err := s.e.Lookup(ctx, "ran")
			return err == nil && !libctr.Alive(c.State), err
		}},
		{"rm renamed ran", func() (bool, error) {
			is, err := s.seesContainer(ctx, "renamed")
			return !is, err
		}},
		{"untag localhost/other localhost/other", func() (bool, error) { return !s.seesImage("localhost/other"), nil }},
		{"rmi localhost/good", func() (bool, error) { return !s.seesImage("localhost/good"), nil }},
	} {
		if out, err := exec.CommandContext(ctx, s.berth, strings.Fields(step.command)...).CombinedOutput(); err != nil {
			return fmt.Errorf("berth %s: %w: %s", step.command, err, out)
		}
		if ok, err := step.sees(); !ok || err != nil {
			return fmt.Errorf("after berth %s, which another process ran: the engine does not see it: %w", step.command, err)
		}
		if err := s.storeAgrees(); err != nil {
			return fmt.Errorf("after berth %s, which another process ran: %w", step.command, err)
		}
	}
	// Images that others have removed are no base, those that they have made are one.
	if err := s.build(ctx, "last", "FROM localhost/good\nRUN true\n", nil); err == nil {
		return errors.New("an image that another process has removed can be built on")
	}
	c, err := s.e.Create(ctx, libctr.CreateOptions{Image: "localhost/also", Args: []string{"true"}})
	if err != nil {
		return err
	}
	id, err := build.Commit(ctx, s.e, c.ID, build.CommitOptions{Name: "localhost/committed"})
	if err != nil || !s.seesImage("localhost/committed") || !s.seesImage(id) {
		return fmt.Errorf("commit a container: image %q, error %w", id, err)
	}
	if err := s.e.Remove(ctx, c, libctr.RemoveOptions{}); err != nil {
		return err
	}
	if _, err := s.e.RunOnce(ctx, libctr.CreateOptions{Image: "localhost/also", Args: []string{"true"}}, libctr.Streams{}); err != nil {
		return err
	}
	return nil
}

func (s *server) seesContainer(ctx context.Context, name string) (bool, error) {
	_, err := s.e.Lookup(ctx, name)
	if errors.Is(err, libctr.ErrNoSuchContainer) {
		err = nil
		return false, err
	}
	return err == nil, err
}

// storeAgrees compares the storage library's store, which this process has opened once, with what the engine reads.
func (s *server) storeAgrees() error {
	store, err := s.e.Store()
	if err != nil {
		return err
	}
	images, err := store.Images()
	if err != nil {
		return err
	}
	var names []string
	for _, img := range images {
		names = append(names, img.Names...)
	}
	for _, name := range []string{"good", "also", "other", "first"} {
		if full := "localhost/" + name + ":latest"; slices.Contains(names, full) != s.seesImage("localhost/"+name) {
			return fmt.Errorf("the store and the engine differ over %s; the store has %q", full, names)
		}
	}
	return nil
}
