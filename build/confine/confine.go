// SPDX-License-Identifier: Apache-2.0

// Package confine is what this program does before buildah's helper runs a RUN instruction: it puts the specification that
// libctr/spec makes for every container in place of buildah's own. See docs/decisions/0028. buildah (1.44, run_common.go and
// chroot/run_common.go) runs this program again, with what the helper is to do as JSON on descriptor 3.
package confine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/bind"
	"go.podman.io/buildah/util"
	"golang.org/x/sys/unix"
)

const (
	ociHelper    = "buildah-oci-runtime"
	chrootHelper = "buildah-chroot-runtime"
	planFile     = "confine.json" // in the build's temporary directory, where the bundles are too
	optionsFD    = 3
)

// Plan is how the RUN instructions of a build are confined.
type Plan struct {
	Spec         spec.Options // its CgroupPath is the beginning of each one's
	RunArgs      []string     // arguments of the OCI runtime's create
	SeccompCache string       // for spec.PrecompileSeccomp; empty where the runtime takes no compiled filter
	Give         []string     // sources of mounts whose files are given to the user of RUN
}

// Write keeps the plan in the build's temporary directory, for the helpers to find.
func (p Plan) Write(tmp string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(tmp, planFile), data, 0o600)
}

// Help changes what buildah's helper is to do, where this program was started as one that runs RUN. The helper itself then is
// reexec's. It ends the program where that cannot be done: nothing runs that is not confined.
func Help(args []string) {
	if len(args) == 0 || args[0] != ociHelper && args[0] != chrootHelper {
		return
	}
	// The helper closes the descriptors of RUN's standard streams, and leaves open files with the same numbers to the garbage
	// collector, which closes them once more (buildah 1.44, run_common.go): by then they may be another file's. So it collects
	// nothing before it has this much.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(48 << 20)
	if err := confineHelper(args[0]); err != nil {
		// In the words of the helper, which package build knows.
		fmt.Fprintf(os.Stderr, "error running container: from %v: exit status 1\n", err)
		os.Exit(1)
	}
}

func confineHelper(name string) error {
	options, err := readOptions()
	if err != nil {
		return fmt.Errorf("read what RUN is to do: %w", err)
	}
	var bundle string
	var asked specs.Spec
	if err := errors.Join(json.Unmarshal(options["BundlePath"], &bundle), json.Unmarshal(options["Spec"], &asked)); err != nil {
		return fmt.Errorf("read what RUN is to do: %w", err)
	}
	var p Plan
	data, err := os.ReadFile(filepath.Join(filepath.Dir(bundle), planFile))
	if err == nil {
		err = json.Unmarshal(data, &p)
	}
	if err != nil {
		return fmt.Errorf("read how RUN is confined: %w", err)
	}
	if err := p.give(&asked); err != nil {
		return err
	}
	s, err := p.confined(&asked, strings.TrimPrefix(filepath.Base(bundle), "buildah"))
	if err != nil {
		return err
	}
	if options["Spec"], err = json.Marshal(s); err != nil {
		return err
	}
	if name == ociHelper {
		if options["MoreCreateArgs"], err = json.Marshal(p.RunArgs); err != nil {
			return err
		}
	}
	return writeOptions(options)
}

// give does what the option U of -v asks for.
func (p *Plan) give(asked *specs.Spec) error {
	if asked.Process == nil || asked.Linux == nil {
		return nil // confined says so
	}
	uid, gid, err := util.GetHostIDs(asked.Linux.UIDMappings, asked.Linux.GIDMappings, asked.Process.User.UID, asked.Process.User.GID)
	if err != nil {
		return err
	}
	for _, m := range asked.Mounts {
		source, upper := m.Source, ""
		if m.Type == "overlay" { // option O
			for _, o := range m.Options {
				switch key, path, _ := strings.Cut(o, "="); key {
				case "lowerdir":
					source = strings.ReplaceAll(path, `\:`, ":")
				case "upperdir":
					upper = path
				}
			}
		}
		if !slices.Contains(p.Give, source) {
			continue
		}
		for _, path := range []string{source, upper} {
			if path == "" {
				continue
			}
			if err := giveTree(path, uid, gid); err != nil {
				return fmt.Errorf("give the files of %s to the user of RUN: %w", m.Destination, err)
			}
		}
	}
	return nil
}

func giveTree(path string, uid, gid uint32) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return libctr.GiveTo(fd, uid, gid)
}

// readOptions reads one JSON object: the pipe's other end stays open.
func readOptions() (map[string]json.RawMessage, error) {
	fd, err := unix.FcntlInt(optionsFD, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "options")
	defer f.Close()
	options := map[string]json.RawMessage{}
	return options, json.NewDecoder(f).Decode(&options)
}

// writeOptions puts a file with them in the pipe's place.
func writeOptions(options map[string]json.RawMessage) error {
	data, err := json.Marshal(options)
	if err != nil {
		return err
	}
	fd, err := unix.MemfdCreate("options", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "options")
	defer f.Close()
	if _, err := f.Write(data); err != nil {
		return err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	return unix.Dup3(fd, optionsFD, unix.O_CLOEXEC)
}

// confined returns what spec.Generate makes for a RUN. From asked, buildah's specification, comes what the instruction and the flags of the
// build say: the command, its environment, directory and user, the host name, the root, mounts, devices, hooks, capabilities, namespaces
// and SELinux labels. name is one that no other RUN at work has.
func (p *Plan) confined(asked *specs.Spec, name string) (*specs.Spec, error) {
	if asked.Process == nil || asked.Root == nil || asked.Linux == nil {
		return nil, errors.New("buildah's specification is not complete")
	}
	o := p.Spec
	process, linux := asked.Process, asked.Linux
	o.Rootfs, o.ReadOnly, o.Hostname = asked.Root.Path, asked.Root.Readonly, asked.Hostname
	o.Args, o.Env, o.WorkingDir = process.Args, process.Env, process.Cwd
	o.Terminal, o.ProcessLabel, o.MountLabel = process.Terminal, process.SelinuxLabel, linux.MountLabel
	o.User = spec.User{
		UID: process.User.UID, GID: process.User.GID, Groups: process.User.AdditionalGids,
		KeepGroups: asked.Annotations["run.oci.keep_original_groups"] == "1",
	}
	o.DefaultCaps = []string{}
	if process.Capabilities != nil {
		o.DefaultCaps = append(o.DefaultCaps, process.Capabilities.Bounding...)
	}
	if !o.NoCgroup {
		o.CgroupPath += "-" + name
	}
	o.PID, o.IPC, o.UTS, o.CgroupNS = namespace(linux, specs.PIDNamespace), namespace(linux, specs.IPCNamespace), namespace(linux, specs.UTSNamespace), namespace(linux, specs.CgroupNamespace)
	net := namespace(linux, specs.NetworkNamespace)
	o.NetHost, o.NetNSPath, o.NetShared = net.Host, net.Path, net.Path != ""
	if len(linux.UIDMappings) > 0 {
		o.UserNS = spec.UserNS{Mode: "maps", UIDs: linux.UIDMappings, GIDs: linux.GIDMappings}
	}
	o.Made, o.Files = mounts(asked.Mounts)
	s, err := spec.Generate(o)
	if err != nil {
		return nil, errors.New(field.Text(err, containerfileWord))
	}
	s.Process.ConsoleSize, s.Hooks = process.ConsoleSize, asked.Hooks
	s.Linux.Devices = append(s.Linux.Devices, linux.Devices...)
	if s.Linux.Resources != nil && linux.Resources != nil && !o.Host.Rootless {
		for _, d := range linux.Resources.Devices {
			if d.Allow {
				s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, d)
			}
		}
	}
	for i, m := range s.Mounts {
		if slices.Contains(direct, m.Source) || slices.Contains(files(&o), m.Source) {
			// buildah binds all other sources to a place of its own first, which these do not need.
			s.Mounts[i].Options = append(slices.Clone(m.Options), bind.NoBindOption)
		}
	}
	if p.SeccompCache != "" {
		_ = spec.PrecompileSeccomp(s, p.SeccompCache) // else the runtime compiles the filter itself
	}
	return s, nil
}

// containerfileWord is what a field is called in a Containerfile, or by the flags of build.
func containerfileWord(n field.Name) string {
	if n == "workdir" {
		return "WORKDIR"
	}
	return field.Flag(n)
}

// namespace is where buildah's specification has a namespace from.
func namespace(l *specs.Linux, typ specs.LinuxNamespaceType) spec.Namespace {
	for _, ns := range l.Namespaces {
		if ns.Type == typ {
			return spec.Namespace{Path: ns.Path}
		}
	}
	return spec.Namespace{Host: true}
}

// direct are what spec.Generate binds from the host.
var direct = []string{"/proc", "/sys", "/dev/mqueue", "/dev/shm"}

func files(o *spec.Options) []string {
	f := &o.Files
	return slices.DeleteFunc([]string{f.Hosts, f.ResolvConf, f.Hostname, f.ContainerEnv}, func(p string) bool { return p == "" })
}

// mounts returns those of buildah's that instruction and flags ask for, and the files that it makes. All others are its defaults.
func mounts(all []specs.Mount) (asked []specs.Mount, f spec.Files) {
	files := map[string]*string{
		"/etc/hosts": &f.Hosts, "/etc/resolv.conf": &f.ResolvConf, "/etc/hostname": &f.Hostname, "/run/.containerenv": &f.ContainerEnv,
	}
	for _, m := range all {
		made := slices.Contains(m.Options, bind.NoBindOption) // by buildah itself
		switch to := files[m.Destination]; {
		case made && to != nil:
			*to = m.Source
		case made && m.Source == m.Destination && slices.Contains(direct, m.Source):
		case slices.Contains([]string{"proc", "sysfs", "devpts", "mqueue", "cgroup"}, m.Type):
		case m.Type == "tmpfs" && (m.Destination == "/dev" && m.Source == "tmpfs" || m.Destination == "/dev/shm" && m.Source == "shm"):
		default:
			asked = append(asked, m)
		}
	}
	return asked, f
}
