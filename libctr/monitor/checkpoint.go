// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// errDumping is for what would disturb CRIU, which has frozen the container.
var errDumping = errors.New("a checkpoint of it is being made")

// checkpoint has the OCI runtime write the container's processes into files. The client is told unless there is an error: where the
// container goes on at once, else by giveToDumper. A checkpoint takes the place of the one before when it is complete.
func (m *Monitor) checkpoint(c *client, o *ctl.Checkpoint) error {
	if !m.dumping.TryLock() {
		return errDumping
	}
	defer m.dumping.Unlock()
	m.probeMu.Lock() // a health check is a process in the container that is none of its first one's children: CRIU takes none such
	defer m.probeMu.Unlock()
	m.mu.Lock()
	_, err := m.runningUnpaused()
	if err == nil && m.state.Status == record.Stopping {
		err = m.errNotRunning()
	}
	m.mu.Unlock()
	if err != nil {
		return err
	}
	dir := m.bundlePath(record.CheckpointDir)
	if o.PreDump {
		dir = m.bundlePath(record.PreCheckpointDir)
	}
	unfinished := dir + ".new"
	defer os.RemoveAll(unfinished) // also what a killed monitor has left
	if err := errors.Join(os.RemoveAll(unfinished), os.Mkdir(unfinished, 0o700)); err != nil {
		return err
	}
	before := time.Now()
	if err := m.call(runtimeCall{args: m.checkpointArgs(o, unfinished)}); err != nil {
		return m.criuError(err, record.DumpLog)
	}
	took := time.Since(before)
	err = errors.Join(os.RemoveAll(dir), os.Rename(unfinished, dir))
	m.mu.Lock()
	defer m.mu.Unlock()
	if st := m.state; !o.PreDump && err == nil {
		st.Checkpointed, st.CheckpointedAt = !o.GoesOn(), now()
		st.CheckpointPath, st.CheckpointLog = dir, ""
		if o.Keep {
			st.CheckpointLog = m.bundlePath(record.DumpLog)
		}
		m.event("checkpoint", nil)
		m.noteState()
	}
	switch {
	case err != nil:
		return fmt.Errorf("keep the checkpoint: %w", err)
	case o.GoesOn():
		c.event(ctl.Event{Event: "checkpointed", Micros: took.Microseconds()})
	default:
		m.dumper, m.dumpTook = c, took
	}
	return nil
}

// awaitDump returns when no checkpoint is being made: the container may have ended because of it.
func (m *Monitor) awaitDump() {
	m.dumping.Lock()
	defer m.dumping.Unlock()
}

// giveToDumper hands the lock of a container that has ended by its checkpoint to the client that has asked for it, if that is still there.
func (m *Monitor) giveToDumper() bool {
	m.mu.Lock()
	c := m.dumper
	m.mu.Unlock()
	if c == nil || isClosed(c.gone) {
		return false
	}
	lock, err := dupFile(m.lock)
	if err != nil {
		return false
	}
	defer lock.Close()
	c.box.wait(0, stuckAfter, nil) // behind all that it was told
	return c.conn.SendEvent(&ctl.Event{Event: "checkpointed", Micros: m.dumpTook.Microseconds()}, lock) == nil
}

func (m *Monitor) bundlePath(name string) string {
	return filepath.Join(m.cfg.Dir, record.BundleDir, name)
}

func (m *Monitor) checkpointArgs(o *ctl.Checkpoint, dir string) []string {
	args := []string{"checkpoint", "--image-path", dir, "--work-path", m.bundlePath("")}
	if o.PreDump {
		args = append(args, "--pre-dump")
	} else if o.LeaveRunning {
		args = append(args, "--leave-running")
	}
	if o.WithPrevious {
		args = append(args, "--parent-path", "../"+record.PreCheckpointDir)
	}
	return append(withIf(withIf(args, "--tcp-established", o.TCPEstablished), "--file-locks", o.FileLocks), m.cfg.ID)
}

func (m *Monitor) restoreArgs() []string {
	args := []string{"--image-path", m.bundlePath(record.CheckpointDir), "--work-path", m.bundlePath("")}
	r := m.restore
	return withIf(withIf(withIf(args, "--tcp-established", r.TCPEstablished), "--tcp-close", r.TCPClose), "--file-locks", r.FileLocks)
}

func withIf(args []string, arg string, wanted bool) []string {
	if wanted {
		args = append(args, arg)
	}
	return args
}

// noteRestore records of a start whether it was made from a checkpoint, which is used up then. It requires m.mu.
func (m *Monitor) noteRestore() {
	st, r := m.state, m.restore
	st.Checkpointed, st.Restored, st.RestoredAt, st.RestoreLog = false, r != nil, time.Time{}, ""
	if r == nil {
		st.CheckpointedAt, st.CheckpointPath, st.CheckpointLog = time.Time{}, "", ""
		return
	}
	st.RestoredAt = now()
	if r.Keep {
		st.RestoreLog = m.bundlePath(record.RestoreLog)
	} else {
		os.RemoveAll(m.bundlePath(record.CheckpointDir))
		os.RemoveAll(m.bundlePath(record.PreCheckpointDir))
		st.CheckpointPath, st.CheckpointLog = "", ""
	}
}

// criuError adds to what the OCI runtime says, which is where CRIU's log is, what CRIU says.
func (m *Monitor) criuError(err error, log string) error {
	var re *runtimeError
	if !errors.As(err, &re) {
		return err
	}
	path := m.bundlePath(log)
	text := re.Error()
	if said := criuErrors(path); said != "" {
		text += ": CRIU says: " + said
	}
	return hint.With(&ctl.RequestError{Text: text, Code: 125}, criuHint(text, path))
}

// criuErrors are the last errors in a log of CRIU's.
func criuErrors(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	var found []string
	for line := range bytes.Lines(data) {
		// (00.085174) Error (criu/net.c:3071): Locking network failed: …
		_, rest, is := strings.Cut(string(line), "Error (")
		_, text, isError := strings.Cut(rest, "): ")
		if is && isError {
			found = append(found, strings.TrimSpace(text))
		}
	}
	return strings.Join(found[max(0, len(found)-4):], "; ")
}

// criuHint says what the user can do about a failure of CRIU's.
func criuHint(text, log string) hint.Hint {
	switch {
	case strings.Contains(text, "iptables"):
		return hint.Textf("CRIU holds back the network's packets by iptables: sudo apt-get install iptables")
	case strings.Contains(text, "onnected TCP socket") || strings.Contains(text, "tcp-established"):
		return hint.Textf("the container has TCP connections: keep them with %s", field.Name("tcp-established"))
	case strings.Contains(text, "inet socket"): // Can't bind, Can't connect … back
		return hint.Textf("CRIU connects sockets before the loopback of a container without a network is up: leave the connections out with %s", field.Name("tcp-close"))
	case strings.Contains(text, "file-locks") || strings.Contains(text, "file locks"):
		return hint.Textf("the container has locked files: keep the locks with %s", field.Name("file-locks"))
	}
	return hint.Textf("CRIU's log, while it is there: %s", log)
}
