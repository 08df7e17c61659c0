// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// report collects what the cases found. Its page is for a reader of docs/performance.md.
type report struct {
	engines *engines
	rows    []row
	budgets []budget
	phases  []phaseRow
	notes   []string
}

// row is one thing that was timed; crun is empty where there is nothing to compare with.
type row struct {
	what                string
	berth, podman, crun samples
}

// budget is a bound that the project has set itself.
type budget struct {
	what       string
	got, limit float64
	unit       string // empty for a ratio or a count
}

type phaseRow struct {
	name  string
	times samples
}

func (b budget) met() bool { return b.got <= b.limit }

func (r *report) times(what string, berth, podman, crun samples) {
	r.rows = append(r.rows, row{what, berth, podman, crun})
}

func (r *report) budget(what string, got, limit float64) { r.budgetIn(what, got, limit, "") }

func (r *report) budgetIn(what string, got, limit float64, unit string) {
	r.budgets = append(r.budgets, budget{what, got, limit, unit})
}

func (r *report) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

func (r *report) phase(name string, times samples) {
	r.phases = append(r.phases, phaseRow{name, times})
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

// write replaces the file with the page, and prints it.
func (r *report) write(file string) error {
	page := r.page()
	fmt.Print(page)
	return os.WriteFile(file, []byte(page), 0o644)
}

func (r *report) page() string {
	var b strings.Builder
	b.WriteString("# How fast Berth is\n\n")
	b.WriteString("Written by `make bench`; do not edit. All of it was measured in one run on one machine, the programs in turn\n" +
		"(A B C A B C …), so the ratios mean something elsewhere, the times less so.\n\n")
	b.WriteString(r.machine())

	b.WriteString("\n## Budgets\n\n| what | measured | budget | met |\n| --- | ---: | ---: | --- |\n")
	for _, x := range r.budgets {
		unit := x.unit
		if unit != "" {
			unit = " " + unit
		}
		fmt.Fprintf(&b, "| %s | %.2f%s | %.4g%s | %s |\n", x.what, x.got, unit, x.limit, unit, map[bool]string{true: "yes", false: "**no**"}[x.met()])
	}

	b.WriteString(r.whyMissed())

	b.WriteString("\n## Times\n\nMedian / 99th percentile, milliseconds, from the start of the command to its end.\n\n" +
		"| what | berth | podman | bare crun | podman ÷ berth |\n| --- | ---: | ---: | ---: | ---: |\n")
	for _, x := range r.rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %.1f |\n", x.what, cell(x.berth), cell(x.podman), cell(x.crun),
			ratio(x.podman.median(), x.berth.median()))
	}
	b.WriteString("\n")
	for _, n := range r.notes {
		b.WriteString(n + "\n\n")
	}

	b.WriteString("## Where the time of `run` goes\n\nThe phases of `berth run --rm --network none IMAGE true`, as `BERTH_TRACE` tells them.\n\n" +
		"| phase | median, ms | p99, ms |\n| --- | ---: | ---: |\n")
	for _, p := range r.phases {
		fmt.Fprintf(&b, "| %s | %.2f | %.2f |\n", p.name, ms(p.times.median()), ms(p.times.percentile(99)))
	}
	return b.String()
}

// reasons say where the time or the memory goes of what has missed its budget before; how each was found is in docs/decisions/0043, 0046 and 0047. The key is how the
// budget's name begins.
var reasons = []struct{ budget, why string }{
	{"`version`", "Seven tenths of it are the start of any Go program that has cobra and the constructor which enters namespaces; the package initialisers that are left take a tenth, Berth's own code less. " +
		"What libraries make at the start was four tenths before, the dynamic linker a seventh: docs/decisions/0046 and 0047."},
	{"`run --network none`, of bare crun", "Of the processor time of all its processes Berth takes 44 percent, crun 28 and the monitor 18, and no part of Berth's stands out: containers.conf is 3, " +
		"the encoders that encoding/json makes for the OCI spec 4 (a spec without the types of other systems saves 0.1 ms), what libraries make at the start 3. newuidmap has to end before anything is made."},
	{"`run -d", "Half is crun's start of the container, a third the start of berth, with newuidmap where no other container of the user runs. podman has a process that keeps its user namespace."},
	{"idle monitor, proportional", "A Go program that only sleeps has 0.61 MiB, the monitor when it waits for its first request 0.95. To read the records adds 0.2 (what encoding/json makes for each type), " +
		"the start of the container 0.15. A collection would cost 0.25 for good, and so do the runtime's own statistics (0.38: they are not asked for any more). " +
		"No use: executing itself again once the container runs (a monitor that has just taken a container over, and has started nothing, has as much), a program that is smaller by a twentieth. " +
		"Next: fewer types in what the monitor reads, or a program in C that waits in the monitor's place."},
	{"`ps -a` during", "It needs 5 ms of a processor, most of it the start of the program and the reading of the records, and 16 creates want two of them at the same time."},
}

// whyMissed is a list of reasons, or nothing.
func (r *report) whyMissed() string {
	var b strings.Builder
	for _, x := range r.budgets {
		if x.met() {
			continue
		}
		for _, reason := range reasons {
			if strings.HasPrefix(x.what, reason.budget) {
				fmt.Fprintf(&b, "- %s: %s\n", x.what, reason.why)
			}
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nWhy what is missed is missed:\n\n" + b.String()
}

func cell(s samples) string {
	if len(s) == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f / %.1f", ms(s.median()), ms(s.percentile(99)))
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// machine says what was measured, on what, and how it was kept fair.
func (r *report) machine() string {
	var uts syscall.Utsname
	_ = syscall.Uname(&uts) // it fails for a bad pointer only
	kernel := make([]byte, 0, len(uts.Release))
	for _, c := range uts.Release {
		if c == 0 {
			break
		}
		kernel = append(kernel, byte(c))
	}
	cgroups := "cgroups v2"
	if !cgroupV2() {
		cgroups = "cgroups v1, so no engine can limit a rootless container: podman and crun are told so (`cgroups=\"disabled\"`, " +
			"`--cgroup-manager=disabled`; podman does not run otherwise), Berth finds out"
	}
	cpus, _ := exec.Command("nproc").Output()
	return fmt.Sprintf("%s, %s, %s; Linux %s, %s processors; %s.\n"+
		"An ordinary user, the kernel's overlay, the same busybox image, a store of its own for each engine on the same disk, what ends with the boot in memory.\n"+
		"Bare crun runs the same files from a plain directory in the namespaces of `crun spec --rootless`.\n",
		version("", r.engines.berth.path, "--version"), version("", "podman", "--version"), version("", "crun", "--version"),
		kernel, strings.TrimSpace(string(cpus)), cgroups)
}

// version is the first line that the command prints, or fallback.
func version(fallback string, argv ...string) string {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return fallback
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
