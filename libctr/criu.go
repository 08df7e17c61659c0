// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// minCRIU is the oldest CRIU that is used, as podman has it: 3.11.
const minCRIU = 31100

// needCRIU returns an error, which says what is missing, where containers of an OCI runtime cannot be checkpointed or restored on this host.
// doing is checkpointing or restoring.
func (e *Engine) needCRIU(ctx context.Context, doing string, r record.Runtime) error {
	if e.Rootless() {
		return hint.Add(fmt.Errorf("%s a container requires root", doing), "CRIU needs it: use sudo, and a container of root's")
	}
	program, err := exec.LookPath("criu")
	if err != nil {
		return hint.Add(fmt.Errorf("look for CRIU: %w", err), "install it with: sudo apt-get install criu iptables")
	}
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return fmt.Errorf("ask %s for its version: %w", program, err)
	}
	if v := criuVersion(string(out)); v < minCRIU {
		return hint.Add(fmt.Errorf("checkpoint/restore requires at least CRIU %d, current version is %d", minCRIU, v), "install a newer CRIU; this one is %s", program)
	}
	info, err := e.askRuntime(ctx, r.Name, r.Path)
	if err != nil {
		return err
	}
	supported := info.checkpoints()
	if !info.isCrun() {
		supported = exec.CommandContext(ctx, r.Path, "checkpoint", "--help").Run() == nil
	}
	if !supported {
		return hint.Add(fmt.Errorf("configured runtime does not support checkpoint/restore: %s (%s)", r.Name, r.Path),
			"Debian's crun is built without CRIU: make the container with %s runc", field.Name("runtime"))
	}
	if out, err := exec.CommandContext(ctx, program, "check").CombinedOutput(); err != nil {
		return hint.Add(fmt.Errorf("CRIU cannot work with this kernel, %s: criu check: %w: %s", KernelVersion(), err, lastLine(string(out))),
			"see what is missing with: criu check; a newer CRIU may know this kernel")
	}
	return nil
}

// needMemoryTracking returns an error where CRIU cannot write only the memory that has changed.
func needMemoryTracking(ctx context.Context) error {
	if exec.CommandContext(ctx, "criu", "check", "--feature", "mem_dirty_track").Run() != nil {
		return errors.New("system (architecture/kernel/CRIU) does not support memory tracking")
	}
	return nil
}

// criuVersion is what "Version: 3.17.1" says as 31701; 0 is unknown.
func criuVersion(text string) int {
	for line := range strings.Lines(text) {
		v, is := strings.CutPrefix(strings.TrimSpace(line), "Version: ")
		if !is {
			continue
		}
		var n [3]int
		for i, part := range strings.SplitN(v, ".", 3) {
			digits, _, _ := strings.Cut(part, "-")
			n[i], _ = strconv.Atoi(digits)
		}
		return n[0]*10000 + n[1]*100 + n[2]
	}
	return 0
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// CRIUStatistics are what CRIU says of its work, with podman's names. Times are microseconds. Those of a checkpoint come first, those of a
// restore last; the others are 0.
type CRIUStatistics struct {
	FreezingTime uint32 `json:"freezing_time,omitempty"`
	FrozenTime   uint32 `json:"frozen_time,omitempty"`
	MemdumpTime  uint32 `json:"memdump_time,omitempty"`
	MemwriteTime uint32 `json:"memwrite_time,omitempty"`
	PagesScanned uint64 `json:"pages_scanned,omitempty"`
	PagesWritten uint64 `json:"pages_written,omitempty"`

	ForkingTime   uint32 `json:"forking_time,omitempty"`
	RestoreTime   uint32 `json:"restore_time,omitempty"`
	PagesRestored uint64 `json:"pages_restored,omitempty"`
}

// readCRIUStatistics reads the file that CRIU leaves; none where there is no such file.
func readCRIUStatistics(path string) (s CRIUStatistics, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	// Two magic numbers (IMG_SERVICE and STATS), the size, and a StatsEntry of CRIU's images/stats.proto.
	const service, stats, head = 0x55105940, 0x57093306, 12
	word := func(i int) uint32 { return binary.LittleEndian.Uint32(data[i:]) }
	if len(data) < head || word(0) != service || word(4) != stats || uint64(word(8)) > uint64(len(data)-head) {
		return s, fmt.Errorf("%s has no statistics of CRIU's", path)
	}
	var bad error
	err = eachField(data[head:head+word(8)], func(part, _ uint64, entry []byte) {
		bad = errors.Join(bad, eachField(entry, func(n, v uint64, _ []byte) { s.set(part == 2, n, v) }))
	})
	if err = errors.Join(err, bad); err != nil {
		return s, fmt.Errorf("read %s: %w", path, err)
	}
	return s, nil
}

func (s *CRIUStatistics) set(restore bool, n, v uint64) {
	switch {
	case !restore && n == 1:
		s.FreezingTime = uint32(v)
	case !restore && n == 2:
		s.FrozenTime = uint32(v)
	case !restore && n == 3:
		s.MemdumpTime = uint32(v)
	case !restore && n == 4:
		s.MemwriteTime = uint32(v)
	case !restore && n == 5:
		s.PagesScanned = v
	case !restore && n == 7:
		s.PagesWritten = v
	case restore && n == 3:
		s.ForkingTime = uint32(v)
	case restore && n == 4:
		s.RestoreTime = uint32(v)
	case restore && n == 5:
		s.PagesRestored = v
	}
}

// eachField calls do with each number and each message in a message (https://protobuf.dev/programming-guides/encoding).
func eachField(data []byte, do func(n uint64, value uint64, message []byte)) error {
	varint := func() (v uint64) {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			v, n = 0, len(data)+1
		}
		data = cutFront(data, uint64(n))
		return v
	}
	for len(data) > 0 {
		tag := varint()
		var value uint64
		var message []byte
		switch tag & 7 {
		case 0:
			value = varint()
		case 1:
			data = cutFront(data, 8)
		case 2:
			size := varint()
			rest := cutFront(data, size)
			if rest != nil {
				message = data[:size]
			}
			data = rest
		case 5:
			data = cutFront(data, 4)
		default:
			data = nil
		}
		if data == nil {
			return errors.New("the statistics end early")
		}
		do(tag>>3, value, message)
	}
	return nil
}

// cutFront is data without its first n bytes; nil where it has not so many.
func cutFront(data []byte, n uint64) []byte {
	if data == nil || n > uint64(len(data)) {
		return nil
	}
	return data[n:]
}
