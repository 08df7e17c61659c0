// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"cmp"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	units "github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/berth-containers/berth/internal/field"
)

// Resources are the limits of the container's cgroup. Zero is no limit, or unset.
type Resources struct {
	Memory            int64 // bytes
	MemorySwap        int64 // bytes of memory and swap; -1 is no limit; 0 is twice Memory
	MemoryReservation int64 // bytes
	NanoCPUs          int64 // 1e9 is one CPU
	CPUPeriod         uint64
	CPUQuota          int64
	CPUShares         uint64
	RealtimePeriod    uint64 // microseconds; cgroups v1 alone
	RealtimeRuntime   int64  // microseconds; cgroups v1 alone
	CpusetCpus        string
	CpusetMems        string
	Swappiness        *uint64 // 0 to 100; cgroups v1 alone
	NoOOMKill         bool    // processes wait for memory instead of being killed; cgroups v1 alone
	BlockIO           BlockIO
	Unified           map[string]string // files of cgroup v2 and what is written into them
	PidsLimit         *int64            // nil is PidsDefault; 0 and -1 are no limit
	PidsDefault       int64             // what nobody asked for, and is dropped where it cannot be had; 0 is DefaultPids, -1 no limit
}

// DefaultPids is podman's limit of processes.
const DefaultPids = 2048

// Missing lists the controllers that r, but for its default, needs and have lacks.
func (r Resources) Missing(have []string) (missing []string) {
	for _, c := range []struct {
		name  string
		asked bool
	}{
		{"cpu", r.NanoCPUs != 0 || r.CPUPeriod != 0 || r.CPUQuota != 0 || r.CPUShares != 0 || r.RealtimePeriod != 0 || r.RealtimeRuntime != 0},
		{"cpuset", r.CpusetCpus != "" || r.CpusetMems != ""},
		{"memory", r.Memory != 0 || r.MemorySwap != 0 || r.MemoryReservation != 0 || r.Swappiness != nil || r.NoOOMKill},
		{"pids", r.PidsLimit != nil && *r.PidsLimit > 0},
		{"io", r.BlockIO.Limited()},
	} {
		asked := c.asked || r.unified(c.name)
		if asked && !slices.Contains(have, c.name) {
			missing = append(missing, c.name)
		}
	}
	return missing
}

// unified reports whether a file of the controller is among r.Unified.
func (r Resources) unified(controller string) bool {
	for file := range r.Unified {
		if strings.HasPrefix(file, controller+".") {
			return true
		}
	}
	return false
}

// Without returns r with no limits by these controllers.
func (r Resources) Without(controllers []string) Resources {
	for _, c := range controllers {
		switch c {
		case "cpu":
			r.NanoCPUs, r.CPUPeriod, r.CPUQuota, r.CPUShares = 0, 0, 0, 0
			r.RealtimePeriod, r.RealtimeRuntime = 0, 0
		case "cpuset":
			r.CpusetCpus, r.CpusetMems = "", ""
		case "memory":
			r.Memory, r.MemorySwap, r.MemoryReservation = 0, 0, 0
			r.Swappiness, r.NoOOMKill = nil, false
		case "pids":
			r.PidsLimit = nil
		case "io":
			r.BlockIO = BlockIO{}
		}
	}
	return r
}

// ParseSize reads a size in bytes (512, 64k, 512m, 1.5g), the value of the field called name.
func ParseSize(name field.Name, value string) (int64, error) {
	n, err := units.RAMInBytes(value)
	if err != nil || n < 0 {
		return 0, field.Errorf("%s %q: not a size such as 512m", name, value)
	}
	return n, nil
}

// ParseMemorySwap reads the value of --memory-swap: a size, or -1 for no limit.
func ParseMemorySwap(value string) (int64, error) {
	if value == "-1" {
		return -1, nil
	}
	return ParseSize("memory-swap", value)
}

// ParseCPUs reads the value of --cpus, in 1e-9 of a CPU.
func ParseCPUs(value string) (int64, error) {
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || !(f >= 0) || f > 1<<16 || f != 0 && f < 0.01 {
		return 0, field.Errorf("%s %q: not a number of CPUs such as 1.5, at least 0.01", field.Name("cpus"), value)
	}
	return int64(math.Round(f * 1e9)), nil
}

// ParseCPUSet checks the value of cpuset-cpus or cpuset-mems (name): a list such as 0-3,5.
func ParseCPUSet(name field.Name, value string) (string, error) {
	for _, part := range strings.Split(value, ",") {
		first, last, isRange := strings.Cut(part, "-")
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := a, error(nil)
		if isRange {
			b, err2 = strconv.ParseUint(last, 10, 16)
		}
		if err != nil || err2 != nil || b < a {
			return "", field.Errorf("%s %q: not a list of numbers such as 0-3,5", name, value)
		}
	}
	return value, nil
}

// Check tells what in r contradicts itself.
func (r Resources) Check() error {
	const least = 6 << 20 // the runtimes' own needs; docker's limit too
	switch {
	case r.Memory > 0 && r.Memory < least:
		return field.Errorf("%s %s: a container needs at least 6m", field.Name("memory"), units.BytesSize(float64(r.Memory)))
	case r.MemorySwap != 0 && r.Memory == 0:
		return field.Errorf("%s needs %s: it limits the sum of both", field.Name("memory-swap"), field.Name("memory"))
	case r.MemorySwap > 0 && r.MemorySwap < r.Memory:
		return field.Errorf("%s is below %s: it limits the sum of both", field.Name("memory-swap"), field.Name("memory"))
	case r.Memory > 0 && r.MemoryReservation > r.Memory:
		return field.Errorf("%s is above %s", field.Name("memory-reservation"), field.Name("memory"))
	case r.NanoCPUs > 0 && (r.CPUPeriod > 0 || r.CPUQuota > 0):
		return field.Errorf("%s excludes %s and %s", field.Name("cpus"), field.Name("cpu-period"), field.Name("cpu-quota"))
	case r.CPUPeriod != 0 && (r.CPUPeriod < 1000 || r.CPUPeriod > 1000000):
		return field.Errorf("%s %d: want 1000 to 1000000 microseconds", field.Name("cpu-period"), r.CPUPeriod)
	case r.CPUQuota != 0 && r.CPUQuota < 1000 && r.CPUQuota != -1:
		return field.Errorf("%s %d: want at least 1000 microseconds", field.Name("cpu-quota"), r.CPUQuota)
	case r.CPUShares == 1 || r.CPUShares > 262144:
		return field.Errorf("%s %d: want 2 to 262144", field.Name("cpu-shares"), r.CPUShares)
	case r.Swappiness != nil && *r.Swappiness > 100:
		return field.Errorf("%s %d: valid memory swappiness range is 0-100", field.Name("memory-swappiness"), *r.Swappiness)
	case r.BlockIO.Weight != 0 && (r.BlockIO.Weight < 10 || r.BlockIO.Weight > 1000):
		return field.Errorf("%s %d: range of blkio weight is from 10 to 1000", field.Name("blkio-weight"), r.BlockIO.Weight)
	case r.PidsLimit != nil && *r.PidsLimit < -1:
		return field.Errorf("%s %d: want a number, or -1 for no limit", field.Name("pids-limit"), *r.PidsLimit)
	}
	for _, v := range []struct {
		name  field.Name
		value string
	}{{"cpuset-cpus", r.CpusetCpus}, {"cpuset-mems", r.CpusetMems}} {
		if v.value == "" {
			continue
		}
		if _, err := ParseCPUSet(v.name, v.value); err != nil {
			return err
		}
	}
	return nil
}

// Limited reports whether the user asked for any limit.
func (r Resources) Limited() bool {
	if r.PidsDefault = 0; r.PidsLimit != nil && *r.PidsLimit <= 0 {
		r.PidsLimit = nil
	}
	return !reflect.ValueOf(r).IsZero()
}

// OCI is r for the runtime, without the limit of processes that nobody asked for.
func (r Resources) OCI(noSwap bool) *specs.LinuxResources { return r.oci(noSwap, []string{}) }

// oci is r for the runtime. have are the controllers that the cgroup will have; nil is all.
func (r Resources) oci(noSwap bool, have []string) *specs.LinuxResources {
	res := &specs.LinuxResources{}
	if r.Memory > 0 || r.MemoryReservation > 0 || r.Swappiness != nil || r.NoOOMKill {
		m := &specs.LinuxMemory{}
		if r.Memory > 0 {
			swap := r.MemorySwap
			if swap == 0 && r.Memory < math.MaxInt64/2 {
				swap = 2 * r.Memory
			}
			m.Limit = &r.Memory
			if swap != 0 && !noSwap {
				m.Swap = &swap
			}
		}
		if r.MemoryReservation > 0 {
			m.Reservation = &r.MemoryReservation
		}
		m.Swappiness = r.Swappiness
		if r.NoOOMKill {
			m.DisableOOMKiller = &r.NoOOMKill
		}
		res.Memory = m
	}
	if r.NanoCPUs > 0 {
		r.CPUPeriod = 100000
		r.CPUQuota = r.NanoCPUs / 10000 // of 100 ms
	}
	cpu := specs.LinuxCPU{Cpus: r.CpusetCpus, Mems: r.CpusetMems}
	if r.CPUPeriod > 0 {
		cpu.Period = &r.CPUPeriod
	}
	if r.CPUQuota != 0 {
		cpu.Quota = &r.CPUQuota
	}
	if r.CPUShares > 0 {
		cpu.Shares = &r.CPUShares
	}
	if r.RealtimePeriod > 0 {
		cpu.RealtimePeriod = &r.RealtimePeriod
	}
	if r.RealtimeRuntime != 0 {
		cpu.RealtimeRuntime = &r.RealtimeRuntime
	}
	if cpu != (specs.LinuxCPU{}) {
		res.CPU = &cpu
	}
	res.BlockIO, res.Unified = r.BlockIO.oci(), r.Unified
	pids := int64(0)
	switch {
	case r.PidsLimit != nil:
		pids = *r.PidsLimit
	case have == nil || slices.Contains(have, "pids"):
		pids = cmp.Or(r.PidsDefault, DefaultPids)
	}
	if pids > 0 {
		res.Pids = &specs.LinuxPids{Limit: &pids}
	}
	return res
}
