// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/pflag"
)

// Health are the flags of create, run and update on health checks.
type Health struct {
	set *pflag.FlagSet // tells which were given

	cmd, interval, timeout, start, onFailure    string
	startupCmd, startupInterval, startupTimeout string
	retries                                     int
	startupRetries, startupSuccess              uint
	logTo                                       string
	logCount, logSize                           uint
	none                                        bool
}

// Bind adds the flags to fs, which is to be parsed before Flags is called.
func (f *Health) Bind(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVar(&f.cmd, "health-cmd", "", "health check command, or none")
	fs.StringVar(&f.interval, "health-interval", "", "time between health checks, or disable (default 30s)")
	fs.StringVar(&f.timeout, "health-timeout", "", "time a health check may take (default 30s)")
	fs.StringVar(&f.start, "health-start-period", "", "time for the container to start, in which failures do not count")
	fs.IntVar(&f.retries, "health-retries", 3, "consecutive failures until the container is unhealthy")
	fs.StringVar(&f.onFailure, "health-on-failure", "", "action when the container becomes unhealthy: none, kill, restart or stop")
	fs.StringVar(&f.startupCmd, "health-startup-cmd", "", "command that is run in place of the health check until it succeeds, or none")
	fs.StringVar(&f.startupInterval, "health-startup-interval", "", "time between startup checks, or disable (default 30s)")
	fs.StringVar(&f.startupTimeout, "health-startup-timeout", "", "time a startup check may take (default 30s)")
	fs.UintVar(&f.startupRetries, "health-startup-retries", 0, "failures of the startup check until the container is restarted, 0 for no bound")
	fs.UintVar(&f.startupSuccess, "health-startup-success", 0, "consecutive successes of the startup check until health checks begin (default 1)")
	fs.StringVar(&f.logTo, "health-log-destination", "local", "where results of health checks are written besides the container's state: local, events_logger, or a directory")
	fs.UintVar(&f.logCount, "health-max-log-count", 5, "number of results that are kept, 0 for all")
	fs.UintVar(&f.logSize, "health-max-log-size", 500, "length of a result's output that is kept, 0 for all")
	fs.BoolVar(&f.none, "no-healthcheck", false, "disable health checks")
}

// Flags are what was given.
func (f *Health) Flags() spec.HealthFlags {
	return spec.HealthFlags{
		None: f.none, Cmd: givenIn(f.set, "health-cmd", f.cmd), Interval: f.interval, Timeout: f.timeout, StartPeriod: f.start,
		Retries: givenIn(f.set, "health-retries", f.retries), OnFailure: f.onFailure,
		StartupCmd: givenIn(f.set, "health-startup-cmd", f.startupCmd), StartupInterval: f.startupInterval, StartupTimeout: f.startupTimeout,
		StartupRetries: givenIn(f.set, "health-startup-retries", f.startupRetries), StartupSuccess: givenIn(f.set, "health-startup-success", f.startupSuccess),
		LogTo:    givenIn(f.set, "health-log-destination", f.logTo),
		LogCount: givenIn(f.set, "health-max-log-count", f.logCount), LogSize: givenIn(f.set, "health-max-log-size", f.logSize),
	}
}
