// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// What a health check has where its options are silent (as podman and docker).
const (
	defaultProbeTimeout = 30 * time.Second
	defaultProbeRetries = 3
	keptProbes          = 5
	keptOutput          = 500 // bytes
)

// MinProbeInterval is the shortest pause between two health checks: each runs the OCI runtime, and an image that
// asks for 1 ms would keep a good part of a CPU busy.
const MinProbeInterval = 500 * time.Millisecond

// probeInterval is the pause that a health check is given; zero is no check but those that are asked for.
func probeInterval(asked time.Duration) time.Duration {
	if asked <= 0 {
		return 0
	}
	return max(asked, MinProbeInterval)
}

// hasHealthcheck tells whether there is something to check.
func (m *Monitor) hasHealthcheck() bool {
	h := m.cfg.Health
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// startHealth begins the checks of a container that has just started. It requires m.mu.
func (m *Monitor) startHealth() {
	if !m.hasHealthcheck() {
		return
	}
	m.state.Health = &record.Health{Status: "starting"}
	m.noteState()
	m.scheduleProbes()
}

// scheduleProbes requires m.mu.
func (m *Monitor) scheduleProbes() {
	interval := probeInterval(m.cfg.Health.Interval)
	if interval == 0 {
		return // only when asked: berth healthcheck run
	}
	m.probing = make(chan struct{})
	go m.probeEvery(interval, m.probing)
}

// stopHealth requires m.mu.
func (m *Monitor) stopHealth() {
	if m.probing != nil {
		close(m.probing)
		m.probing = nil
	}
}

func (m *Monitor) probeEvery(interval time.Duration, stop <-chan struct{}) {
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		_, _ = m.probe() // a container that is paused or has ended is not judged
		timer.Reset(interval)
	}
}

func (m *Monitor) handleHealth(c *client) {
	if !m.hasHealthcheck() {
		c.fail(&ctl.RequestError{Text: "it has no health check", Code: 125, Kind: "no-healthcheck"})
		return
	}
	h, err := m.probe()
	if err != nil {
		c.fail(err)
		return
	}
	c.event(ctl.Event{Event: "health", Health: h})
}

// probe runs the check once, records the result, and does what is to be done
// about a container that has become unhealthy.
func (m *Monitor) probe() (*record.Health, error) {
	m.probeMu.Lock()
	defer m.probeMu.Unlock()
	m.mu.Lock()
	init, err := m.runningUnpaused()
	m.mu.Unlock()
	if err != nil {
		return nil, err
	}
	result, err := m.runProbe()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init != init || init.hasExited() {
		return nil, m.errNotRunning() // it ended meanwhile, and the check with it
	}
	var known record.Health
	if m.state.Health != nil {
		known = *m.state.Health
	}
	before := known.Status
	h := judge(m.cfg.Health, known, result, m.state.StartedAt)
	m.state.Health = &h
	m.noteState()
	m.event("health_status", map[string]string{"health_status": h.Status})
	if h.Status == "unhealthy" && before != h.Status {
		m.actOnUnhealthy(init)
	}
	return &h, nil
}

// judge adds a result to what is known of the container's health.
func judge(check *record.Healthcheck, h record.Health, p record.HealthProbe, started time.Time) record.Health {
	h.Log = append(append([]record.HealthProbe(nil), h.Log...), p)
	if len(h.Log) > keptProbes {
		h.Log = h.Log[len(h.Log)-keptProbes:]
	}
	retries := check.Retries
	if retries <= 0 {
		retries = defaultProbeRetries
	}
	switch {
	case p.ExitCode == 0:
		h.Status, h.FailingStreak = "healthy", 0
	case h.Status == "starting" && p.Start.Before(started.Add(check.StartPeriod)):
		// it may still be starting
	default:
		if h.FailingStreak++; h.FailingStreak >= retries {
			h.Status = "unhealthy"
		}
	}
	return h
}

// actOnUnhealthy requires m.mu.
func (m *Monitor) actOnUnhealthy(init *process) {
	patience := time.Duration(m.cfg.StopTimeout) * time.Second
	switch m.cfg.Health.OnFailure {
	case "kill":
		go m.kill(init)
	case "stop":
		m.state.StoppedBy = "health"
		go m.end(init, m.stopSignal(), patience)
	case "restart":
		m.restart = true
		go m.end(init, m.stopSignal(), patience)
	}
}

// runProbe runs the check's command in the container.
func (m *Monitor) runProbe() (record.HealthProbe, error) {
	result := record.HealthProbe{Start: now()}
	process, err := m.probeProcess()
	if err != nil {
		return result, err
	}
	out, err := m.tempOutput()
	if err != nil {
		return result, err
	}
	defer out.close()
	p, _, err := m.exec(execution{process: process, stdio: [3]uintptr{1: uintptr(out.fd), 2: uintptr(out.fd)}})
	if err != nil {
		e := errorEvent(err)
		if e.Code != 126 && e.Code != 127 {
			return result, err
		}
		result.End, result.ExitCode, result.Output = now(), e.Code, e.Error
		return result, nil
	}
	timeout := m.cfg.Health.Timeout
	if timeout <= 0 {
		timeout = defaultProbeTimeout
	}
	timer := time.AfterFunc(timeout, func() { m.killExec(p) })
	result.ExitCode = m.execEnded(p)
	result.Output = out.head(keptOutput)
	if !timer.Stop() && result.ExitCode == 128+int(syscall.SIGKILL) {
		result.Output = fmt.Sprintf("health check took longer than %s", timeout)
	}
	result.End = now()
	return result, nil
}

// probeProcess is the container's own process with the check's command.
func (m *Monitor) probeProcess() (json.RawMessage, error) {
	path := filepath.Join(m.cfg.Dir, record.BundleDir, record.ConfigFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var spec struct{ Process map[string]json.RawMessage }
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	args, err := probeArgs(m.cfg.Health.Test)
	if err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(args)
	if err != nil {
		return nil, err
	}
	spec.Process["args"] = encoded
	spec.Process["terminal"] = json.RawMessage("false")
	delete(spec.Process, "consoleSize")
	return json.Marshal(spec.Process)
}

func probeArgs(test []string) ([]string, error) {
	switch {
	case test[0] == "CMD" && len(test) > 1:
		return test[1:], nil
	case test[0] == "CMD-SHELL" && len(test) == 2:
		return []string{"/bin/sh", "-c", test[1]}, nil
	}
	return nil, fmt.Errorf("health check %q is neither CMD nor CMD-SHELL with a command", test)
}
