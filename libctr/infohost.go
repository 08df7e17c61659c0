// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"go.podman.io/image/v5/pkg/sysregistriesv2"
)

// CPUUtilization is what the host's processors have done since it started, in percent.
type CPUUtilization struct {
	UserPercent   float64 `json:"userPercent"`
	SystemPercent float64 `json:"systemPercent"`
	IdlePercent   float64 `json:"idlePercent"`
}

// cpuUtilization reads the first line of /proc/stat: proc(5).
func cpuUtilization() *CPUUtilization {
	f, err := os.Open("/proc/stat")
	if err != nil {
		return nil
	}
	defer f.Close()
	line, err := bufio.NewReader(f).ReadString('\n')
	fields := strings.Fields(line)
	if err != nil || len(fields) < 5 || fields[0] != "cpu" {
		return nil
	}
	var total float64
	ticks := make([]float64, len(fields)-1)
	for i, field := range fields[1:] {
		ticks[i], _ = strconv.ParseFloat(field, 64)
		total += ticks[i]
	}
	if total == 0 {
		return nil
	}
	percent := func(t float64) float64 { return float64(int(t*10000/total)) / 100 }
	return &CPUUtilization{UserPercent: percent(ticks[0] + ticks[1]), SystemPercent: percent(ticks[2]), IdlePercent: percent(ticks[3])}
}

// emulated are the architectures whose programs the kernel has an interpreter for, as binfmt_misc says.
func emulated() []string {
	entries, _ := filepath.Glob("/proc/sys/fs/binfmt_misc/qemu-*")
	list := []string{}
	for _, path := range entries {
		if fileSays(path, "enabled") {
			list = append(list, "linux/"+strings.TrimPrefix(filepath.Base(path), "qemu-"))
		}
	}
	slices.Sort(list)
	return list
}

// packagesOf are the packages that files belong to, as far as the host's package manager knows them; "Unknown" for others, as podman says.
func packagesOf(ctx context.Context, paths ...string) map[string]string {
	found := map[string]string{}
	var ask []string
	for _, path := range paths {
		if path != "" {
			found[path] = "Unknown"
			ask = append(ask, path)
		}
	}
	if len(ask) == 0 {
		return found
	}
	if dpkg, err := exec.LookPath("dpkg-query"); err == nil {
		out, _ := exec.CommandContext(ctx, dpkg, append([]string{"--search"}, ask...)...).Output() // it tells what it knows, and fails
		for line := range strings.Lines(string(out)) {
			if name, path, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
				found[path] = name
			}
		}
		return found
	}
	if rpm, err := exec.LookPath("rpm"); err == nil {
		for _, path := range ask {
			if out, err := exec.CommandContext(ctx, rpm, "-qf", path).Output(); err == nil {
				found[path] = strings.TrimSpace(string(out))
			}
		}
	}
	return found
}

// moduleVersion is the version of a module that this program was built with; empty if it has none of it.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return ""
}

// registries are what registries.conf says: those that short names are looked up in, as "search", and each that has an entry of its own.
func (e *Engine) registries() map[string]any {
	all := map[string]any{}
	sys := e.SystemContext()
	if search, err := sysregistriesv2.UnqualifiedSearchRegistries(sys); err == nil && len(search) > 0 {
		all["search"] = search
	}
	list, err := sysregistriesv2.GetRegistries(sys)
	if err != nil {
		return all
	}
	for _, r := range list {
		all[r.Prefix] = r
	}
	return all
}
