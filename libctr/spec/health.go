// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
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
		test, err := healthCommand(*f.Cmd)
		if err != nil {
			return nil, err
		}
		h.Test = test
	}
	if len(h.Test) == 0 || len(h.Test) == 1 && strings.EqualFold(h.Test[0], "NONE") {
		if f.Interval != "" || f.Timeout != "" || f.StartPeriod != "" || f.Retries != nil || f.OnFailure != "" {
			if f.Cmd == nil && len(h.Test) == 0 {
				return nil, field.Errorf("%s given, but neither %s nor the image says what to run", field.Name("health-*"), field.Name("health-cmd"))
			}
		}
		return nil, nil
	}
	if err := healthTimes(&h, f); err != nil {
		return nil, err
	}
	switch f.OnFailure {
	case "", "none":
	case "kill", "restart", "stop":
		h.OnFailure = f.OnFailure
	default:
		return nil, field.Errorf("%s %q: want none, kill, restart or stop", field.Name("health-on-failure"), f.OnFailure)
	}
	return &h, nil
}

func healthCommand(v string) ([]string, error) {
	if v == "none" {
		return []string{"NONE"}, nil
	}
	if strings.HasPrefix(v, "[") {
		var list []string
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			return nil, field.Errorf("%s %q: %w", field.Name("health-cmd"), v, err)
		}
		if len(list) > 0 && list[0] != "CMD" && list[0] != "CMD-SHELL" && list[0] != "NONE" {
			list = append([]string{"CMD"}, list...)
		}
		if len(list) == 0 || len(list) == 1 && list[0] != "NONE" {
			return nil, field.Errorf("%s %q: a command is missing", field.Name("health-cmd"), v)
		}
		return list, nil
	}
	if strings.TrimSpace(v) == "" {
		return nil, field.Errorf("%s: a command is missing", field.Name("health-cmd"))
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
