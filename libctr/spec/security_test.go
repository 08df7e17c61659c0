// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.podman.io/common/pkg/config"
)

// What podman of the library's version masks or keeps from being written, Berth does too; a newer library that brings
// another path fails here.
func TestMaskedPathsArePodmans(t *testing.T) {
	h, err := ReadHost()
	if err != nil {
		t.Fatal(err)
	}
	masked, readonly := Security{}.Paths(h)
	for _, p := range config.DefaultMaskedPaths() {
		if !slices.Contains(masked, p) {
			t.Errorf("%s is not masked", p)
		}
	}
	for _, p := range config.DefaultReadOnlyPaths {
		if !slices.Contains(masked, p) && !slices.Contains(readonly, p) {
			t.Errorf("%s can be written", p)
		}
	}
	for _, p := range []string{"/proc/asound", "/proc/interrupts"} { // moby's: sound that is played, keys that are struck
		if !slices.Contains(masked, p) {
			t.Errorf("%s is not masked", p)
		}
	}
}

// A CPU's directory is made up here: few machines that tests run on have thermal_throttle.
func TestMaskedPathsOfEachCPU(t *testing.T) {
	dir := t.TempDir()
	if got := perCPU(dir); got != nil {
		t.Errorf("no CPU has it: got %q", got)
	}
	for _, d := range []string{"cpu0/thermal_throttle", "cpu1/thermal_throttle", "cpu12/thermal_throttle", "cpufreq", "cpuidle", "power"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var want []string
	for _, cpu := range []string{"cpu0", "cpu1", "cpu12"} {
		want = append(want, filepath.Join(dir, cpu, "thermal_throttle"))
	}
	if got := perCPU(dir); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	masked, _ := Security{Unmask: []string{"/proc/*", filepath.Join(dir, "cpu1*", "thermal_throttle")}}.Paths(Host{PerCPU: want})
	if !slices.Contains(masked, want[0]) || slices.Contains(masked, want[1]) || slices.Contains(masked, want[2]) || slices.Contains(masked, "/proc/interrupts") {
		t.Errorf("masked are %q", masked)
	}
}
