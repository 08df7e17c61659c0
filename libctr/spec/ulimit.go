// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// rlimits are the resource limits by their names in --ulimit, setrlimit(2).
var rlimits = []struct {
	name   string
	number int
}{
	{"as", unix.RLIMIT_AS}, {"core", unix.RLIMIT_CORE}, {"cpu", unix.RLIMIT_CPU}, {"data", unix.RLIMIT_DATA},
	{"fsize", unix.RLIMIT_FSIZE}, {"locks", unix.RLIMIT_LOCKS}, {"memlock", unix.RLIMIT_MEMLOCK},
	{"msgqueue", unix.RLIMIT_MSGQUEUE}, {"nice", unix.RLIMIT_NICE}, {"nofile", unix.RLIMIT_NOFILE},
	{"nproc", unix.RLIMIT_NPROC}, {"rss", unix.RLIMIT_RSS}, {"rtprio", unix.RLIMIT_RTPRIO},
	{"rttime", unix.RLIMIT_RTTIME}, {"sigpending", unix.RLIMIT_SIGPENDING}, {"stack", unix.RLIMIT_STACK},
}

// ParseUlimits reads the values of --ulimit: NAME=SOFT[:HARD], where -1 is no limit, or
// "host" for the caller's own limits. A later value wins over an earlier one of the same name.
func ParseUlimits(values []string, h Host) ([]record.Ulimit, error) {
	var list []record.Ulimit
	set := func(u record.Ulimit) {
		for i := range list {
			if list[i].Name == u.Name {
				list[i] = u
				return
			}
		}
		list = append(list, u)
	}
	for _, v := range values {
		if v == "host" {
			for _, l := range h.Rlimits {
				set(l)
			}
			continue
		}
		u, err := parseUlimit(v)
		if err != nil {
			return nil, field.Errorf("%s %q: %w", field.Name("ulimit"), v, err)
		}
		set(u)
	}
	return list, nil
}

func parseUlimit(v string) (record.Ulimit, error) {
	var u record.Ulimit
	name, limits, ok := strings.Cut(v, "=")
	if !ok {
		return u, errors.New("want NAME=SOFT[:HARD], or host")
	}
	name = strings.TrimPrefix(strings.ToLower(name), "rlimit_")
	for _, r := range rlimits {
		if r.name == name {
			u.Name = "RLIMIT_" + strings.ToUpper(name)
		}
	}
	if u.Name == "" {
		return u, fmt.Errorf("%q is not a limit's name", name)
	}
	soft, hard, two := strings.Cut(limits, ":")
	if !two {
		hard = soft
	}
	for _, n := range []struct {
		text string
		to   *int64
	}{{soft, &u.Soft}, {hard, &u.Hard}} {
		i, err := strconv.ParseInt(n.text, 10, 64)
		if err != nil || i < -1 {
			return u, fmt.Errorf("%q is not a number, nor -1 for no limit", n.text)
		}
		*n.to = i
	}
	if uint64(u.Soft) > uint64(u.Hard) { // -1 is the largest
		return u, errors.New("the soft limit is above the hard limit")
	}
	return u, nil
}

// clampUlimit lowers u to what the caller may set, and reports whether it had to.
func clampUlimit(u record.Ulimit, h Host) (record.Ulimit, bool) {
	if h.RaiseLimits {
		return u, false
	}
	for _, l := range h.Rlimits {
		if l.Name == u.Name && uint64(u.Hard) > uint64(l.Hard) {
			u.Hard = l.Hard
			if uint64(u.Soft) > uint64(u.Hard) {
				u.Soft = u.Hard
			}
			return u, true
		}
	}
	return u, false
}

// MergeUlimits are the limits of given, and those of defaults that given does not have, lowered to what the caller may set.
func MergeUlimits(given, defaults []record.Ulimit, h Host) []record.Ulimit {
	all := slices.Clone(given)
	for _, d := range defaults {
		if !slices.ContainsFunc(given, func(g record.Ulimit) bool { return g.Name == d.Name }) {
			d, _ = clampUlimit(d, h)
			all = append(all, d)
		}
	}
	return all
}

// standInProcs bounds the processes of all of a user's containers together, where there is no cgroup to count those of
// each: eight times what a cgroup would allow one (docs/decisions/0032).
const standInProcs = 8 * DefaultPids

// standIn is RLIMIT_NPROC in place of a pids cgroup: at most half of the processes that the user may have, so that a container that
// forks without end leaves him the other half, to end it.
func standIn(h Host) int64 {
	limit := int64(standInProcs)
	if h.Threads > 0 {
		limit = min(limit, h.Threads/4) // the kernel's own limit for a user is half of them
	}
	for _, l := range h.Rlimits {
		if l.Name == "RLIMIT_NPROC" && l.Hard > 0 { // -1 is none
			limit = min(limit, max(l.Hard/2, 1))
		}
	}
	return limit
}

// needsStandIn reports whether nothing counts the container's processes although nobody has asked for that.
func (o *Options) needsStandIn() bool {
	counted := !o.NoCgroup && (o.Controllers == nil || slices.Contains(o.Controllers, "pids"))
	limited := o.Resources.PidsDefault >= 0
	if n := o.Resources.PidsLimit; n != nil {
		limited = limited && *n > 0
	}
	return o.Host.Rootless && !counted && limited
}

// AllUlimits are the limits that the process begins with: those given, the defaults, and many files and processes.
func (o *Options) AllUlimits() []record.Ulimit {
	nproc := int64(1 << 22)
	if o.needsStandIn() {
		nproc = standIn(o.Host)
	}
	return defaultUlimits(MergeUlimits(o.Ulimits, o.DefaultUlimits, o.Host), o.Host, nproc)
}

// defaultUlimits are podman's: many files, and processes (nproc), as far as the caller may go.
func defaultUlimits(given []record.Ulimit, h Host, nproc int64) []record.Ulimit {
	all := append([]record.Ulimit{}, given...)
	for _, d := range []record.Ulimit{
		{Name: "RLIMIT_NOFILE", Soft: 1 << 20, Hard: 1 << 20},
		{Name: "RLIMIT_NPROC", Soft: nproc, Hard: nproc},
	} {
		found := false
		for _, g := range given {
			found = found || g.Name == d.Name
		}
		if !found {
			all = append(all, d)
		}
	}
	for i := range all {
		all[i], _ = clampUlimit(all[i], h)
	}
	return all
}
