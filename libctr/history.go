// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	units "github.com/docker/go-units"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/record"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// historyFile, in a container's directory, has its revisions, the oldest first. It is there once the container has been updated.
const historyFile = "history.json"

// keptRevisions is how many of the last revisions are kept, besides the first.
const keptRevisions = 100

// Revision is what a container's settings were from some time on.
type Revision struct {
	Number   int       `json:"number"` // 1 is the container as it was made
	Time     time.Time `json:"time"`
	Command  []string  `json:"command,omitempty"` // that made it; empty where that is not known
	Settings Settings  `json:"settings"`

	// Changes are the settings that differ from the revision before, in the words of the flags; not recorded.
	Changes []string `json:"-"`
}

// History returns the revisions of a container's settings, the oldest first. The last one is what it has now.
func (e *Engine) History(c *Container) ([]Revision, error) {
	list, err := e.history(c)
	if err != nil {
		return nil, about("look up the history of", c, err)
	}
	for i := 1; i < len(list); i++ {
		list[i].Changes = changes(list[i-1].Settings, list[i].Settings)
	}
	return list, nil
}

// history is History without the changes.
func (e *Engine) history(c *Container) ([]Revision, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	s, err := readSpec(c.Dir)
	if err != nil {
		return nil, err
	}
	list, err := readHistory(c.Dir)
	if err != nil {
		return nil, err
	}
	return upTo(list, settingsOf(cfg, s), cfg), nil
}

func readHistory(dir string) (list []Revision, err error) {
	data, err := os.ReadFile(filepath.Join(dir, historyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil {
		return nil, fmt.Errorf("read the container's %s: %w", historyFile, err)
	}
	return list, nil
}

// upTo is list with a revision for the settings that a container has, if the last one does not have them: it was just made, or an update was
// killed before it could note them.
func upTo(list []Revision, now Settings, cfg *record.Config) []Revision {
	if len(list) == 0 {
		return []Revision{{Number: 1, Time: cfg.Created, Command: cfg.CreateCommand, Settings: now}}
	}
	last := list[len(list)-1]
	if same(last.Settings, now) {
		return list
	}
	return append(list, Revision{Number: last.Number + 1, Time: time.Now(), Settings: now})
}

// same compares settings as they are recorded: an empty list is none. How they were asked for does not matter.
func same(a, b Settings) bool {
	a.Asked, b.Asked = nil, nil
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// addRevision records a change. Whoever calls it holds the lock of the names.
func (e *Engine) addRevision(c *Container, before, after Settings, command []string) error {
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	list, err := readHistory(c.Dir)
	if err != nil {
		return err
	}
	list = upTo(list, before, cfg)
	if same(before, after) {
		return nil
	}
	list = append(list, Revision{Number: list[len(list)-1].Number + 1, Time: time.Now(), Command: command, Settings: after})
	if n := len(list); n > keptRevisions+1 {
		list = append(list[:1:1], list[n-keptRevisions:]...)
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(c.Dir, historyFile), data, 0o600, c.Dir != c.RunDir)
}

// ErrNoRevision is returned for a revision that a container does not have.
var ErrNoRevision = errors.New("no such revision")

// Rollback gives a container the settings of an earlier revision, also while it runs; 0 is the one before the last. That is a revision of its
// own, so that it can be undone in the same way. It returns the number of the one that it has gone back to.
func (e *Engine) Rollback(ctx context.Context, c *Container, number int, command []string) (int, error) {
	list, err := e.history(c)
	if err != nil {
		return 0, about("roll back", c, err)
	}
	if number == 0 && len(list) > 1 {
		number = list[len(list)-2].Number
	}
	i := slices.IndexFunc(list, func(r Revision) bool { return r.Number == number })
	if i < 0 {
		err := fmt.Errorf("%w: %d", ErrNoRevision, number)
		if number == 0 {
			err = fmt.Errorf("%w: it was never updated", ErrNoRevision)
		}
		return 0, about("roll back", c, hint.Add(err, "list them with: %s", hint.To(hint.ListRevisions, c.State.Name)))
	}
	return number, about("roll back", c, e.change(ctx, c, command, func(before Settings, _ *record.Config) (Settings, *specs.LinuxResources, error) {
		to := list[i].Settings
		if reflect.DeepEqual(before.Resources, to.Resources) {
			return to, nil, nil
		}
		return to, undone(before.Resources, to.Resources), nil
	}))
}

// undone is to, with the kernel's own values for what only from has: a running container has those limits, and they are to go.
func undone(from, to *specs.LinuxResources) *specs.LinuxResources {
	if from == nil {
		from = &specs.LinuxResources{}
	}
	live := specs.LinuxResources{}
	if to != nil {
		live = *to
	}
	if from.Memory != nil {
		m := specs.LinuxMemory{}
		if live.Memory != nil {
			m = *live.Memory
		}
		unset(&m.Limit, from.Memory.Limit, -1)
		unset(&m.Swap, from.Memory.Swap, -1)
		unset(&m.Reservation, from.Memory.Reservation, 0)
		live.Memory = &m
	}
	if from.CPU != nil {
		p := specs.LinuxCPU{}
		if live.CPU != nil {
			p = *live.CPU
		}
		unset(&p.Quota, from.CPU.Quota, -1)
		unset(&p.Period, from.CPU.Period, 100000)
		unset(&p.Shares, from.CPU.Shares, 1024)
		if p.Cpus == "" && from.CPU.Cpus != "" {
			p.Cpus = host.OnlineCPUs()
		}
		live.CPU = &p
	}
	if from.Pids != nil && live.Pids == nil {
		live.Pids = &specs.LinuxPids{Limit: new(int64(-1))}
	}
	if from.BlockIO != nil && from.BlockIO.Weight != nil && (live.BlockIO == nil || live.BlockIO.Weight == nil) {
		io := specs.LinuxBlockIO{}
		if live.BlockIO != nil {
			io = *live.BlockIO
		}
		io.Weight = new(uint16(100))
		live.BlockIO = &io
	}
	return &live
}

// unset gives a limit that is to go its value without one.
func unset[T any](to **T, from *T, free T) {
	if *to == nil && from != nil {
		*to = &free
	}
}

// changes are the settings of b that a does not have, in the words of the flags.
func changes(a, b Settings) (list []string) {
	before, after := a.words(), b.words()
	for _, k := range slices.Sorted(maps.Keys(after)) {
		if before[k] != after[k] {
			list = append(list, k+"="+after[k])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[k]; !ok {
			list = append(list, k+"=(unset)")
		}
	}
	return list
}

// words are the settings by their flags, an environment variable as env.NAME.
func (n Settings) words() map[string]string {
	w := map[string]string{"restart": or(n.Restart.Policy, "no")}
	if n.Restart.MaxRetries > 0 {
		w["restart"] += ":" + strconv.FormatUint(uint64(n.Restart.MaxRetries), 10)
	}
	for _, v := range n.Env {
		name, value, _ := strings.Cut(v, "=")
		w["env."+name] = value
	}
	for _, u := range n.Ulimits {
		w["ulimit."+strings.ToLower(strings.TrimPrefix(u.Name, "RLIMIT_"))] = fmt.Sprintf("%d:%d", u.Soft, u.Hard)
	}
	if n.Health != nil {
		if data, err := json.Marshal(n.Health); err == nil {
			w["health"] = string(data)
		}
	}
	n.resourceWords(w)
	return w
}

func (n Settings) resourceWords(w map[string]string) {
	r := n.Resources
	if r == nil {
		return
	}
	size := func(name string, p *int64) {
		switch {
		case p == nil:
		case *p < 0:
			w[name] = "-1"
		default:
			w[name] = units.BytesSize(float64(*p))
		}
	}
	if m := r.Memory; m != nil {
		size("memory", m.Limit)
		size("memory-swap", m.Swap)
		size("memory-reservation", m.Reservation)
		number(w, "memory-swappiness", m.Swappiness)
	}
	if c := r.CPU; c != nil {
		if n.NanoCPUs > 0 {
			w["cpus"] = strconv.FormatFloat(float64(n.NanoCPUs)/1e9, 'g', -1, 64)
		} else {
			number(w, "cpu-period", c.Period)
			number(w, "cpu-quota", c.Quota)
		}
		number(w, "cpu-shares", c.Shares)
		number(w, "cpu-rt-period", c.RealtimePeriod)
		number(w, "cpu-rt-runtime", c.RealtimeRuntime)
		for name, v := range map[string]string{"cpuset-cpus": c.Cpus, "cpuset-mems": c.Mems} {
			if v != "" {
				w[name] = v
			}
		}
	}
	if r.Pids != nil {
		number(w, "pids-limit", r.Pids.Limit)
	}
	if r.BlockIO != nil {
		if data, err := json.Marshal(r.BlockIO); err == nil {
			w["blkio"] = string(data)
		}
	}
}

func number[T any](w map[string]string, name string, p *T) {
	if p != nil {
		w[name] = fmt.Sprint(*p)
	}
}
