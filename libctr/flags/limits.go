// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/pflag"
)

// Limits are the flags of create, run and update that limit what a container uses.
type Limits struct {
	set *pflag.FlagSet // tells which were given

	memory, memorySwap, memoryReservation, cpus string
	cpusetCpus, cpusetMems                      string
	cpuShares, cpuPeriod, rtPeriod              uint64
	cpuQuota, pidsLimit, rtRuntime, swappiness  int64
	blkioWeight                                 uint16
	blkioWeightDevice, readBps, writeBps        []string
	readIOPS, writeIOPS                         []string
}

// Bind adds the flags to fs, which is to be parsed before Resources is called.
func (f *Limits) Bind(fs *pflag.FlagSet) {
	f.set = fs
	fs.StringVarP(&f.memory, "memory", "m", "", "memory limit: 512m")
	fs.StringVar(&f.memorySwap, "memory-swap", "", "limit of memory and swap, -1 for unlimited (default twice --memory)")
	fs.StringVar(&f.memoryReservation, "memory-reservation", "", "soft limit of memory")
	fs.Int64Var(&f.swappiness, "memory-swappiness", -1, "how readily memory is swapped, 0 to 100, -1 for the host's (cgroups v1 alone)")
	fs.StringVar(&f.cpus, "cpus", "", "number of CPUs: 1.5")
	fs.Uint64VarP(&f.cpuShares, "cpu-shares", "c", 0, "CPU shares (relative weight)")
	fs.Uint64Var(&f.cpuPeriod, "cpu-period", 0, "CFS period in microseconds")
	fs.Int64Var(&f.cpuQuota, "cpu-quota", 0, "CFS quota in microseconds")
	fs.Uint64Var(&f.rtPeriod, "cpu-rt-period", 0, "period of the real-time scheduler in microseconds (cgroups v1 alone)")
	fs.Int64Var(&f.rtRuntime, "cpu-rt-runtime", 0, "run time of the real-time scheduler in microseconds (cgroups v1 alone)")
	fs.StringVar(&f.cpusetCpus, "cpuset-cpus", "", "CPUs in which to allow execution: 0-2,4")
	fs.StringVar(&f.cpusetMems, "cpuset-mems", "", "memory nodes in which to allow execution")
	fs.Int64Var(&f.pidsLimit, "pids-limit", 0, "limit of processes, -1 for unlimited (default 2048)")
	fs.Uint16Var(&f.blkioWeight, "blkio-weight", 0, "weight of block I/O, 10 to 1000")
	fs.StringArrayVar(&f.blkioWeightDevice, "blkio-weight-device", nil, "weight of block I/O of a device: DEVICE:WEIGHT (repeatable)")
	fs.StringArrayVar(&f.readBps, "device-read-bps", nil, "limit of bytes a second read from a device: /dev/sda:1mb (repeatable)")
	fs.StringArrayVar(&f.writeBps, "device-write-bps", nil, "limit of bytes a second written to a device: /dev/sda:1mb (repeatable)")
	fs.StringArrayVar(&f.readIOPS, "device-read-iops", nil, "limit of reads a second from a device: /dev/sda:1000 (repeatable)")
	fs.StringArrayVar(&f.writeIOPS, "device-write-iops", nil, "limit of writes a second to a device: /dev/sda:1000 (repeatable)")
}

// Resources are the limits that the flags ask for.
func (f *Limits) Resources() (r spec.Resources, err error) {
	for _, v := range []struct {
		name  field.Name
		value string
		to    *int64
	}{{"memory", f.memory, &r.Memory}, {"memory-reservation", f.memoryReservation, &r.MemoryReservation}} {
		if v.value == "" {
			continue
		}
		if *v.to, err = spec.ParseSize(v.name, v.value); err != nil {
			return r, err
		}
	}
	if f.memorySwap != "" {
		if r.MemorySwap, err = spec.ParseMemorySwap(f.memorySwap); err != nil {
			return r, err
		}
	}
	if f.swappiness >= 0 {
		r.Swappiness = new(uint64(f.swappiness))
	}
	if f.cpus != "" {
		if r.NanoCPUs, err = spec.ParseCPUs(f.cpus); err != nil {
			return r, err
		}
	}
	r.CpusetCpus, r.CpusetMems = f.cpusetCpus, f.cpusetMems
	r.CPUShares, r.CPUPeriod, r.CPUQuota = f.cpuShares, f.cpuPeriod, f.cpuQuota
	r.RealtimePeriod, r.RealtimeRuntime = f.rtPeriod, f.rtRuntime
	r.PidsLimit = givenIn(f.set, "pids-limit", f.pidsLimit)

	r.BlockIO.Weight = f.blkioWeight
	for _, v := range []struct {
		name   field.Name
		values []string
		to     *[]spec.DeviceRate
	}{
		{"blkio-weight-device", f.blkioWeightDevice, &r.BlockIO.WeightDevice}, {"device-read-bps", f.readBps, &r.BlockIO.ReadBps},
		{"device-write-bps", f.writeBps, &r.BlockIO.WriteBps}, {"device-read-iops", f.readIOPS, &r.BlockIO.ReadIOPS},
		{"device-write-iops", f.writeIOPS, &r.BlockIO.WriteIOPS},
	} {
		if *v.to, err = spec.ParseDeviceRates(v.name, v.values); err != nil {
			return r, err
		}
	}
	return r, nil
}
