// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/lastwords"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/host"
)

// runtimeCall is one call of the OCI runtime.
type runtimeCall struct {
	args   []string   // the verb and what follows
	stdio  [3]uintptr // zero is /dev/null
	extra  []uintptr  // descriptors 3, 4, …
	starts bool       // it starts the container: see abortStart
}

// call runs the OCI runtime with a container's standard input and output, and
// waits for it. Where it fails, the error is what it wrote to its log.
func (m *Monitor) call(c runtimeCall) error {
	log := m.runPath("runtime-" + m.nextSerial() + ".log")
	defer os.Remove(log)
	// Not JSON: crun writes in the same format to the container's standard error why it cannot execute the command.
	args := append([]string{"--log", log, "--log-format", "text"}, c.args...)
	files := append(c.stdio[:], c.extra...)
	for i := range c.stdio {
		if files[i] == 0 {
			files[i] = uintptr(m.null)
		}
	}
	code, err := m.runRuntime(args, files, c.starts)
	if err != nil || code == 0 && !m.wrapperHides(c) {
		return err
	}
	if c.starts && m.aborted.Load() {
		return &ctl.RequestError{Text: "it was stopped while it was being started", Code: 125}
	}
	text := runtimeText(log)
	if text == "" {
		text = "it exited with " + strconv.Itoa(code) + " and said nothing"
	}
	return &runtimeError{runtime: m.cfg.Runtime.Name, verb: c.args[0], text: text}
}

// wrapperHides reports whether a runtime that is a script has ended well without having made the process that it was to make:
// the exit code is then not the runtime's.
func (m *Monitor) wrapperHides(c runtimeCall) bool {
	i := slices.Index(c.args, "--pid-file")
	if i < 0 || !host.IsScript(m.cfg.Runtime.Path) {
		return false
	}
	_, err := os.Stat(c.args[i+1])
	return errors.Is(err, fs.ErrNotExist)
}

// runtimeCommand runs the OCI runtime for a verb that needs no standard input and
// output, nor anything in RunDir, which may be removed already.
func (m *Monitor) runtimeCommand(args ...string) error {
	out, err := lastwords.New()
	if err != nil {
		return err
	}
	defer out.Close()
	code, err := m.runRuntime(args, []uintptr{uintptr(m.null), uintptr(m.null), uintptr(out.FD)}, false)
	if err != nil || code == 0 {
		return err
	}
	return &runtimeError{runtime: m.cfg.Runtime.Name, verb: args[0], text: out.Tail(), code: code}
}

// wrapperTimeout bounds the wait for an OCI runtime that a script has left in the background.
const wrapperTimeout = 20 * time.Second

func (m *Monitor) runRuntime(args []string, files []uintptr, starts bool) (code int, err error) {
	r := m.cfg.Runtime
	argv := append(append([]string{r.Path}, r.Args...), args...)
	if host.IsScript(r.Path) {
		// It may leave the runtime in the background. Behind all that the runtime hands on, it inherits the end of a pipe.
		r, w, err := os.Pipe()
		if err != nil {
			return 0, err
		}
		files = append(slices.Clone(files), w.Fd())
		defer func() {
			w.Close()
			awaitWrapped(r, madePid(args))
			r.Close()
		}()
	}
	attr := &syscall.ProcAttr{Dir: "/", Env: m.env, Files: files}
	if starts {
		attr.Sys = &syscall.SysProcAttr{Setpgid: true}
	}
	pid, status, err := m.reap.spawn(r.Path, argv, attr)
	if err != nil {
		err = fmt.Errorf("run OCI runtime %s: %w", r.Path, err)
		if errors.Is(err, fs.ErrNotExist) {
			err = hint.Add(err, "install it (sudo apt-get install %s), or choose another with %s", filepath.Base(r.Path), field.Name("runtime"))
		}
		return 0, err
	}
	if starts {
		m.starting.Store(int32(pid))
		defer m.starting.Store(0)
	}
	return exitCode(<-status), nil
}

// awaitWrapped returns when the last process has gone that has the other end of r. The init of a container that is only made keeps what the runtime
// has inherited until it executes the command, so where pidFile is not empty, it is enough that the runtime has written that.
func awaitWrapped(r *os.File, pidFile string) {
	for end := time.Now().Add(wrapperTimeout); time.Now().Before(end); {
		step := end
		if pidFile != "" {
			step = time.Now().Add(20 * time.Millisecond)
		}
		r.SetReadDeadline(step)
		if _, err := r.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			return
		}
		if st, err := os.Stat(pidFile); err == nil && st.Size() > 0 {
			return
		}
	}
}

// madePid is the file for the pid where the runtime is to make a container and no more; else empty.
func madePid(args []string) string {
	i := slices.Index(args, "--pid-file")
	if i < 0 || !slices.Contains(args[:i], "create") {
		return ""
	}
	return args[i+1]
}

func (m *Monitor) nextSerial() string { return strconv.FormatUint(m.serial.Add(1), 10) }

// runtimeError is a runtime's own word on why it failed.
type runtimeError struct {
	runtime, verb, text string
	code                int
}

func (e *runtimeError) Error() string {
	return fmt.Sprintf("OCI runtime %s: %s: %s", e.runtime, e.verb, e.text)
}

// runtimeText joins the errors in a runtime's log: a text a line (crun), time, level and text (runc), or JSON.
func runtimeText(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var texts []string
	for line := range bytes.Lines(data) {
		var entry struct{ Level, Msg string }
		if err := json.Unmarshal(line, &entry); err != nil {
			entry.Level, entry.Msg = logrusLine(strings.TrimSpace(string(line)))
		}
		if (entry.Level == "error" || entry.Level == "fatal") && entry.Msg != "" {
			texts = append(texts, entry.Msg)
		}
	}
	return strings.Join(texts, "; ")
}

// logrusLine reads `time="…" level=error msg="…"`; any other line is an error as it is.
func logrusLine(line string) (level, msg string) {
	_, rest, _ := strings.Cut(line, " level=")
	level, rest, found := strings.Cut(rest, " msg=")
	if !found || !strings.HasPrefix(line, "time=") {
		return "error", line
	}
	if quoted, err := strconv.QuotedPrefix(rest); err == nil {
		if text, err := strconv.Unquote(quoted); err == nil {
			return level, text
		}
	}
	return level, rest
}

// startError says why a process could not be started, with the exit code that
// podman-run(1) gives it: 127 command not found, 126 it cannot be invoked, 125 anything before.
func startError(err error, command string) error {
	var re *runtimeError
	if !errors.As(err, &re) {
		return err
	}
	text := strings.ToLower(re.text)
	switch {
	case strings.Contains(text, "executable file") && strings.Contains(text, "not found"),
		strings.Contains(text, "exec: ") && strings.Contains(text, "no such file or directory"),
		strings.Contains(text, "exec `") && strings.Contains(text, "no such file or directory"):
		return commandNotFound(command)
	case strings.Contains(text, "open executable"),
		strings.Contains(text, "exec") && strings.Contains(text, "permission denied"):
		return commandNotExecutable(command)
	}
	err = &ctl.RequestError{Text: re.Error(), Code: 126}
	return hint.With(err, runtimeHint(text))
}

// runtimeHint says what the host, or the engine outside (docs/nested.md), has to allow where a runtime fails with text, in small letters.
func runtimeHint(text string) hint.Hint {
	refused := strings.Contains(text, "operation not permitted") || strings.Contains(text, "permission denied")
	switch {
	case strings.Contains(text, "keyring") && strings.Contains(text, "quota exceeded"):
		return hint.Textf("each container has a keyring, and the kernel gives a user no more (keyrings(7)): raise the limit with: sudo sysctl kernel.keys.maxkeys=20000, or do without with keyring = false in containers.conf")
	case refused && strings.Contains(text, "proc") && strings.Contains(text, "mount"):
		return hint.Textf("this host masks parts of /proc, so that no new one can be mounted: have the engine outside start this container with %s unmask=ALL (docker: systempaths=unconfined, Kubernetes: procMount: Unmasked)", field.Name("security-opt"))
	case strings.Contains(text, "/attr/") && strings.Contains(text, "exec") || strings.Contains(text, "apparmor"):
		return hint.Textf("is the AppArmor profile loaded? Load it first with: sudo apparmor_parser -r FILE")
	case refused && strings.Contains(text, "rlim_memlock"):
		return hint.Textf("crun needs the capability SYS_RESOURCE, or an unlimited locked-memory limit, for its device filter: allow it, or use %s runc", field.Name("runtime"))
	case refused && strings.Contains(text, "sethostname"):
		return hint.Textf("a seccomp filter forbids it: leave %s out, or use %s host", field.Name("hostname"), field.Name("uts"))
	}
	return hint.Hint{}
}

func commandNotFound(command string) error {
	return &ctl.RequestError{Text: fmt.Sprintf("executable file `%s` not found in $PATH: No such file or directory: OCI runtime attempted to invoke a command that was not found", command), Code: 127}
}

func commandNotExecutable(command string) error {
	return &ctl.RequestError{Text: fmt.Sprintf("executable file `%s` cannot be executed: OCI permission denied", command), Code: 126}
}

// shortPath is a name of a file in RunDir that fits into a socket's address (108
// bytes) and that other programs of this user can use, as long as the monitor lives.
func (m *Monitor) shortPath(name string) string {
	return "/proc/" + strconv.Itoa(os.Getpid()) + "/fd/" + strconv.Itoa(m.runDir) + "/" + name
}

func openDir(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}
