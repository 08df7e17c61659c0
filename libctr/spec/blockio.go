// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"io/fs"
	"strconv"
	"strings"

	units "github.com/docker/go-units"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
)

// BlockIO are the limits and weights of a container's block devices. The zero value has none.
type BlockIO struct {
	Weight       uint16 // 10 to 1000; 0 is unset
	WeightDevice []DeviceRate
	ReadBps      []DeviceRate // bytes a second
	WriteBps     []DeviceRate
	ReadIOPS     []DeviceRate // operations a second
	WriteIOPS    []DeviceRate
}

// DeviceRate is a limit or a weight for one device.
type DeviceRate struct {
	Path string // on the host
	Rate uint64

	Major, Minor int64 // filled in by BlockIO.Stat
}

// blockFields are the lists of b, by the fields they come from.
func (b *BlockIO) blockFields() map[field.Name]*[]DeviceRate {
	return map[field.Name]*[]DeviceRate{
		"blkio-weight-device": &b.WeightDevice, "device-read-bps": &b.ReadBps, "device-write-bps": &b.WriteBps,
		"device-read-iops": &b.ReadIOPS, "device-write-iops": &b.WriteIOPS,
	}
}

// Limited reports whether b has a limit or a weight.
func (b BlockIO) Limited() bool {
	if b.Weight != 0 {
		return true
	}
	for _, list := range b.blockFields() {
		if len(*list) > 0 {
			return true
		}
	}
	return false
}

// Stat fills in the numbers of the devices.
func (b *BlockIO) Stat() error {
	for name, list := range b.blockFields() {
		for i := range *list {
			d := &(*list)[i]
			var st unix.Stat_t
			if err := unix.Stat(d.Path, &st); err != nil {
				return field.Errorf("%s: %w", name, &fs.PathError{Op: "stat", Path: d.Path, Err: err})
			}
			if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFBLK && kind != unix.S_IFCHR {
				return field.Errorf("%s: %s is not a device", name, d.Path)
			}
			d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
		}
	}
	return nil
}

// ParseDeviceRates reads the values of the field called name: DEVICE:NUMBER. The number of blkio-weight-device is a weight, that of a bps
// may have a unit, such as 1mb.
func ParseDeviceRates(name field.Name, values []string) (list []DeviceRate, err error) {
	for _, v := range values {
		path, number, found := strings.Cut(v, ":")
		if !found || number == "" || strings.Contains(number, ":") {
			return nil, field.Errorf("%s: bad format: %s: want DEVICE:NUMBER", name, v)
		}
		if !strings.HasPrefix(path, "/dev/") {
			return nil, field.Errorf("%s: bad format for device path: %s: want a path below /dev", name, v)
		}
		d := DeviceRate{Path: path}
		switch {
		case name == "blkio-weight-device":
			d.Rate, err = strconv.ParseUint(number, 10, 16)
			if err == nil && d.Rate != 0 && (d.Rate < 10 || d.Rate > 1000) {
				err = errors.New("out of range")
			}
			if err != nil {
				return nil, field.Errorf("%s: invalid weight for device: %s: want 10 to 1000, or 0", name, v)
			}
		case strings.HasSuffix(string(name), "-bps"):
			n, err := units.RAMInBytes(number)
			if err != nil || n < 0 {
				return nil, field.Errorf("%s: invalid rate for device: %s: want DEVICE:NUMBER[UNIT], the unit kb, mb or gb", name, v)
			}
			d.Rate = uint64(n)
		default:
			if d.Rate, err = strconv.ParseUint(number, 10, 64); err != nil {
				return nil, field.Errorf("%s: invalid rate for device: %s: want DEVICE:NUMBER", name, v)
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// oci is b for the runtime, or nil.
func (b BlockIO) oci() *specs.LinuxBlockIO {
	if !b.Limited() {
		return nil
	}
	io := &specs.LinuxBlockIO{}
	if b.Weight != 0 {
		io.Weight = &b.Weight
	}
	for _, d := range b.WeightDevice {
		weight := uint16(d.Rate)
		w := specs.LinuxWeightDevice{Weight: &weight}
		w.Major, w.Minor = d.Major, d.Minor
		io.WeightDevice = append(io.WeightDevice, w)
	}
	throttle := func(list []DeviceRate) (out []specs.LinuxThrottleDevice) {
		for _, d := range list {
			t := specs.LinuxThrottleDevice{Rate: d.Rate}
			t.Major, t.Minor = d.Major, d.Minor
			out = append(out, t)
		}
		return out
	}
	io.ThrottleReadBpsDevice, io.ThrottleWriteBpsDevice = throttle(b.ReadBps), throttle(b.WriteBps)
	io.ThrottleReadIOPSDevice, io.ThrottleWriteIOPSDevice = throttle(b.ReadIOPS), throttle(b.WriteIOPS)
	return io
}
