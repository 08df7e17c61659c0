// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/lastwords"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// What a health check has where its options are silent (as podman and docker).
const (
	defaultProbeTimeout = 30 * time.Second
	defaultProbeRetries = 3

	// KeptProbes is how many results are kept.
	KeptProbes = 5
	// KeptOutput is how many bytes of the output of each.
	KeptOutput = 500
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

// hasHealthcheck reports whether there is something to check. It requires m.mu.
func (m *Monitor) hasHealthcheck() bool {
	h := m.health
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// startHealth begins the checks of a container that has just started. It requires m.mu.
func (m *Monitor) startHealth() {
	if !m.hasHealthcheck() {
		return
	}
	m.state.Health = &record.Health{Status: "starting"}
	m.startup = startup{}
	m.noteState()
	m.scheduleProbes()
}

// startup is how far the startup check has come.
type startup struct {
	passed         bool
	failed, worked int
}

// dueCheck is the check that is to run: the startup check as long as it has not succeeded. It requires m.mu.
func (m *Monitor) dueCheck() (test []string, interval, timeout time.Duration, isStartup bool) {
	if s := m.health.Startup; s != nil && !m.startup.passed {
		return s.Test, s.Interval, s.Timeout, true
	}
	return m.health.Test, m.health.Interval, m.health.Timeout, false
}

// scheduleProbes requires m.mu.
func (m *Monitor) scheduleProbes() {
	if m.nextProbe() == 0 {
		return // only when asked: berth healthcheck run
	}
	m.probing = make(chan struct{})
	go m.probeEvery(m.probing)
}

// nextProbe is the pause before the next check; zero is no check but those that are asked for. It requires m.mu.
func (m *Monitor) nextProbe() time.Duration {
	_, interval, _, isStartup := m.dueCheck()
	if h := m.state.Health; !isStartup && m.health.StartInterval > 0 && h != nil && h.Status == "starting" && time.Since(m.state.StartedAt) < m.health.StartPeriod {
		interval = m.health.StartInterval
	}
	return probeInterval(interval)
}

// stopHealth requires m.mu.
func (m *Monitor) stopHealth() {
	if m.probing != nil {
		close(m.probing)
		m.probing = nil
	}
}

func (m *Monitor) probeEvery(stop <-chan struct{}) {
	for {
		m.mu.Lock()
		var interval time.Duration
		if m.hasHealthcheck() {
			interval = m.nextProbe()
		}
		m.mu.Unlock()
		if interval == 0 {
			return
		}
		timer := time.NewTimer(interval)
		select {
		case <-stop:
			timer.Stop()
			return
		case <-timer.C:
		}
		_, _ = m.probe() // a container that is paused or has ended is not judged
	}
}

func (m *Monitor) handleHealth(c *client) {
	m.mu.Lock()
	has := m.hasHealthcheck()
	m.mu.Unlock()
	if !has {
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
	if err == nil && (m.state.Status == record.Stopping || !m.hasHealthcheck()) { // or the check was taken away meanwhile
		err = m.errNotRunning()
	}
	if err != nil {
		m.mu.Unlock()
		return nil, err
	}
	check := m.health
	test, _, timeout, isStartup := m.dueCheck()
	m.mu.Unlock()
	result, err := m.runProbe(test, timeout, limitOf(check.LogSize, KeptOutput))
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init != init || init.hasExited() || m.state.Status == record.Stopping || m.health != check {
		return nil, m.errNotRunning() // it ends or has ended meanwhile, and the check with it, or there is another check
	}
	var known record.Health
	if m.state.Health != nil {
		known = *m.state.Health
	}
	before := known.Status
	var h record.Health
	if isStartup {
		h = logged(check, known, result)
		m.judgeStartup(check.Startup, result.ExitCode == 0, init)
	} else {
		h = judge(check, known, result, m.state.StartedAt)
	}
	m.state.Health = &h
	m.noteState()
	attributes := map[string]string{"health_status": h.Status}
	if check.LogTo == healthToEvents {
		attributes["health_log"] = result.Output
	}
	m.event("health_status", attributes)
	m.logHealth(check.LogTo, &h)
	if h.Status == "unhealthy" && before != h.Status {
		m.actOnUnhealthy(init, check.OnFailure)
	}
	return &h, nil
}

// healthToEvents is the Healthcheck.LogTo of results that go into the events log.
const healthToEvents = "events_logger"

// logHealth writes the results into a file in dir. That it cannot be written is no reason to judge otherwise.
func (m *Monitor) logHealth(dir string, h *record.Health) {
	if dir == "" || dir == healthToEvents {
		return
	}
	if data, err := json.Marshal(h); err == nil {
		_ = atomicfile.Write(filepath.Join(dir, m.cfg.ID+"-healthcheck.log"), append(data, '\n'), 0o644, false)
	}
}

// judgeStartup counts a result of the startup check; one that fails too often has the container restarted. It requires m.mu.
func (m *Monitor) judgeStartup(check *record.StartupCheck, ok bool, init *process) {
	s := &m.startup
	if ok {
		s.worked++
		s.passed = s.worked >= max(check.Successes, 1)
		return
	}
	s.worked = 0
	if s.failed++; check.Retries > 0 && s.failed >= check.Retries {
		m.restart = true
		go m.end(init, m.stopSignal(), time.Duration(m.cfg.StopTimeout)*time.Second)
	}
}

// limitOf is a bound of Healthcheck: 0 is the default's, -1 none.
func limitOf(set, byDefault int) int {
	switch {
	case set == 0:
		return byDefault
	case set < 0:
		return math.MaxInt
	}
	return set
}

// logged adds a result to what is kept.
func logged(check *record.Healthcheck, h record.Health, p record.HealthProbe) record.Health {
	h.Log = append(append([]record.HealthProbe(nil), h.Log...), p)
	if most := limitOf(check.LogCount, KeptProbes); len(h.Log) > most {
		h.Log = h.Log[len(h.Log)-most:]
	}
	return h
}

// judge adds a result to what is known of the container's health.
func judge(check *record.Healthcheck, h record.Health, p record.HealthProbe, started time.Time) record.Health {
	h = logged(check, h, p)
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
func (m *Monitor) actOnUnhealthy(init *process, action string) {
	patience := time.Duration(m.cfg.StopTimeout) * time.Second
	switch action {
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

// runProbe runs the check's command in the container, and keeps so many bytes of what it says.
func (m *Monitor) runProbe(test []string, timeout time.Duration, keep int) (record.HealthProbe, error) {
	result := record.HealthProbe{Start: now()}
	process, err := m.probeProcess(test)
	if err != nil {
		return result, err
	}
	out, err := lastwords.New()
	if err != nil {
		return result, err
	}
	defer out.Close()
	p, _, err := m.exec(execution{process: process, stdio: [3]uintptr{1: uintptr(out.FD), 2: uintptr(out.FD)}})
	if err != nil {
		e := errorEvent(err)
		if e.Code != 126 && e.Code != 127 {
			return result, err
		}
		result.End, result.ExitCode, result.Output = now(), e.Code, e.Error
		return result, nil
	}
	if timeout <= 0 {
		timeout = defaultProbeTimeout
	}
	timer := time.AfterFunc(timeout, func() { m.killExec(p) })
	result.ExitCode = m.execEnded(p)
	result.Output = out.Head(keep)
	if !timer.Stop() && result.ExitCode == 128+int(syscall.SIGKILL) {
		result.Output = fmt.Sprintf("health check took longer than %s", timeout)
	}
	result.End = now()
	return result, nil
}

// probeProcess is the container's own process with the check's command.
func (m *Monitor) probeProcess(test []string) (json.RawMessage, error) {
	path := filepath.Join(m.cfg.Dir, record.BundleDir, record.ConfigFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var spec struct{ Process map[string]json.RawMessage }
	if err := json.Unmarshal(data, &spec); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	args, err := probeArgs(test)
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
