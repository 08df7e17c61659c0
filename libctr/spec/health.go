// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// HealthFlags are the values of --health-*; nil pointers and empty strings are flags not given.
type HealthFlags struct {
	Cmd         *string // --health-cmd: a shell command, a JSON array, or "none"
	None        bool    // --no-healthcheck
	Interval    string  // a duration, or "disable" for no periodic run
	Timeout     string
	StartPeriod string
	Retries     *int
	OnFailure   string

	StartupCmd      *string // --health-startup-cmd, as Cmd
	StartupInterval string
	StartupTimeout  string
	StartupRetries  *uint // failures until the container is restarted; 0 is no bound
	StartupSuccess  *uint // successes that it takes

	LogTo    *string // --health-log-destination: local, events_logger, or a directory
	LogCount *uint   // 0 is no bound
	LogSize  *uint   // 0 is no bound
}

// given reports whether any flag but those that say what to run was given.
func (f HealthFlags) given() bool {
	return f.Interval != "" || f.Timeout != "" || f.StartPeriod != "" || f.Retries != nil || f.OnFailure != "" || f.StartupCmd != nil || f.startupGiven() ||
		f.LogTo != nil || f.LogCount != nil || f.LogSize != nil
}

func (f HealthFlags) startupGiven() bool {
	return f.StartupInterval != "" || f.StartupTimeout != "" || f.StartupRetries != nil || f.StartupSuccess != nil
}

// Defaults of a health check; docker's and podman's.
const (
	healthInterval = 30 * time.Second
	healthTimeout  = 30 * time.Second
	healthRetries  = 3
)

// Health joins the flags and the image's HEALTHCHECK. It returns nil where there is
// none to run. An Interval of zero in the result means that the check runs only when
// it is asked for.
func Health(f HealthFlags, img *record.Healthcheck) (*record.Healthcheck, error) {
	if f.None {
		if f.Cmd != nil && *f.Cmd != "none" {
			return nil, field.Errorf("%s and %s exclude each other", field.Name("no-healthcheck"), field.Name("health-cmd"))
		}
		return nil, nil
	}
	h := record.Healthcheck{}
	if img != nil {
		h = *img
	}
	if f.Cmd != nil {
		test, err := healthCommand("health-cmd", *f.Cmd)
		if err != nil {
			return nil, err
		}
		h.Test = test
	}
	if len(h.Test) == 0 || len(h.Test) == 1 && strings.EqualFold(h.Test[0], "NONE") {
		if f.given() {
			if f.Cmd == nil && len(h.Test) == 0 {
				return nil, field.Errorf("%s given, but neither %s nor the image says what to run", field.Name("health-*"), field.Name("health-cmd"))
			}
		}
		return nil, nil
	}
	if err := healthTimes(&h, f); err != nil {
		return nil, err
	}
	if err := startupCheck(&h, f); err != nil {
		return nil, err
	}
	if err := healthLog(&h, f); err != nil {
		return nil, err
	}
	switch f.OnFailure {
	case "":
	case "none":
		h.OnFailure = ""
	case "kill", "restart", "stop":
		h.OnFailure = f.OnFailure
	default:
		return nil, field.Errorf("%s %q: want none, kill, restart or stop", field.Name("health-on-failure"), f.OnFailure)
	}
	return &h, nil
}

// startupCheck joins the flags of the startup check with what there is.
func startupCheck(h *record.Healthcheck, f HealthFlags) (err error) {
	if f.StartupCmd != nil {
		test, err := healthCommand("health-startup-cmd", *f.StartupCmd)
		if err != nil {
			return err
		}
		if test[0] == "NONE" {
			h.Startup = nil
			return nil
		}
		s := record.StartupCheck{Interval: healthInterval, Timeout: healthTimeout}
		if h.Startup != nil {
			s = *h.Startup
		}
		s.Test = test
		h.Startup = &s
	} else if h.Startup != nil {
		s := *h.Startup
		h.Startup = &s
	}
	s := h.Startup
	if s == nil {
		if f.startupGiven() {
			return field.Errorf("%s given, but %s does not say what to run", field.Name("health-startup-*"), field.Name("health-startup-cmd"))
		}
		return nil
	}
	if s.Interval, err = healthTime("health-startup-interval", f.StartupInterval, s.Interval, time.Millisecond); err != nil {
		return err
	}
	if s.Timeout, err = healthTime("health-startup-timeout", f.StartupTimeout, s.Timeout, time.Millisecond); err != nil {
		return err
	}
	if f.StartupRetries != nil {
		s.Retries = int(*f.StartupRetries)
	}
	if f.StartupSuccess != nil {
		s.Successes = int(*f.StartupSuccess)
	}
	return nil
}

// healthTime is the duration given as text, or what there was.
func healthTime(name field.Name, text string, was, least time.Duration) (time.Duration, error) {
	switch text {
	case "":
		return was, nil
	case "disable":
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < least {
		return 0, field.Errorf("%s %q: not a duration such as 30s", name, text)
	}
	return d, nil
}

// healthLog says where results are kept, and how many.
func healthLog(h *record.Healthcheck, f HealthFlags) error {
	if f.LogTo != nil {
		switch to := *f.LogTo; {
		case to == "local":
			h.LogTo = ""
		case to == "events_logger":
			h.LogTo = to
		default:
			if st, err := os.Stat(to); err != nil || !st.IsDir() {
				return field.Errorf("%s %q: want local, events_logger, or a directory that exists", field.Name("health-log-destination"), to)
			}
			dir, err := filepath.Abs(to)
			if err != nil {
				return err
			}
			h.LogTo = dir
		}
	}
	bound := func(n uint) int {
		if n == 0 {
			return -1 // see Healthcheck
		}
		return int(min(n, math.MaxInt32))
	}
	if f.LogCount != nil {
		h.LogCount = bound(*f.LogCount)
	}
	if f.LogSize != nil {
		h.LogSize = bound(*f.LogSize)
	}
	return nil
}

func healthCommand(name field.Name, v string) ([]string, error) {
	if v == "none" {
		return []string{"NONE"}, nil
	}
	if strings.HasPrefix(v, "[") {
		var list []string
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			return nil, field.Errorf("%s %q: %w", name, v, err)
		}
		if len(list) > 0 && list[0] != "CMD" && list[0] != "CMD-SHELL" && list[0] != "NONE" {
			list = append([]string{"CMD"}, list...)
		}
		if len(list) == 0 || len(list) == 1 && list[0] != "NONE" {
			return nil, field.Errorf("%s %q: a command is missing", name, v)
		}
		return list, nil
	}
	if strings.TrimSpace(v) == "" {
		return nil, field.Errorf("%s: a command is missing", name)
	}
	return []string{"CMD-SHELL", v}, nil
}

func healthTimes(h *record.Healthcheck, f HealthFlags) error {
	for _, t := range []struct {
		name       field.Name
		value      string
		to         *time.Duration
		def, least time.Duration
	}{
		{"health-interval", f.Interval, &h.Interval, healthInterval, time.Millisecond},
		{"health-timeout", f.Timeout, &h.Timeout, healthTimeout, time.Millisecond},
		{"health-start-period", f.StartPeriod, &h.StartPeriod, 0, 0},
	} {
		switch {
		case t.value == "disable" && t.to == &h.Interval:
			h.Interval = 0
		case t.value != "":
			d, err := time.ParseDuration(t.value)
			if err != nil || d < t.least {
				return field.Errorf("%s %q: not a duration such as 30s", t.name, t.value)
			}
			*t.to = d
		case *t.to == 0:
			*t.to = t.def
		}
	}
	if f.Retries != nil {
		if *f.Retries < 1 {
			return field.Errorf("%s %d: must be at least 1", field.Name("health-retries"), *f.Retries)
		}
		h.Retries = *f.Retries
	}
	if h.Retries == 0 {
		h.Retries = healthRetries
	}
	return nil
}
