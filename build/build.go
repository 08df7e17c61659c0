// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/confine"
	"github.com/berth-containers/berth/build/copier"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/network"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/define"
	"go.podman.io/buildah/imagebuildah"
	"go.podman.io/image/v5/types"
	"golang.org/x/sync/semaphore"
)

// Options say what to build. Buildah's own options hold what its flags set; Build fills in what belongs to the host: the
// OCI runtime, the network of RUN, names and directories.
type Options struct {
	define.BuildOptions
	Files    []string // Containerfiles, in order; paths, URLs or /dev/stdin
	Progress Progress // never nil

	AllowHostNetwork bool // RUN --network=host may be built; else it is an error unless the whole build has the host's network

	// Names are what the user calls the Containerfiles and the context directory, by path, where that differs. A context that
	// was fetched has no entry.
	Names map[string]string
	// Security is how RUN is confined, see libctr.Engine.Security; it takes the place of what BuildOptions says of that.
	Security spec.Security
	// FormatGiven says that OutputFormat is the user's choice, not the default.
	FormatGiven bool
	// Scan runs a command of an SBOM scanner in a container and waits for it; nil refuses --sbom.
	Scan func(context.Context, ScanRun) error

	// DecryptionKeys are KEYFILE[:PASSPHRASE], for encrypted images; BuildOptions has them for buildah.
	DecryptionKeys []string

	// Flags are the flags that the user gave, by name, with their values as text. They are part of what an equal build
	// is known by (memo.go); nil never takes the result of an equal build.
	Flags map[string]string
}

// Build builds, and returns the ID of the image or, with Manifest, of the index; empty if the only result is
// Options.BuildOutputs.
func (s *Session) Build(ctx context.Context, o Options) (string, error) {
	store, err := s.store()
	if err != nil {
		return "", err
	}
	b := &o.BuildOptions
	if len(b.Excludes) == 0 {
		if err := ReadIgnoreFile(b, o.Files); err != nil {
			return "", err
		}
	}
	if err := s.plainFiles(ctx, &o); err != nil {
		return "", err
	}
	r, err := readRecipe(&o)
	if err != nil {
		return "", err
	}
	memos, err := newMemoKeeper(s.engine, store, &o)
	if err != nil {
		return "", fmt.Errorf("look for an equal build: %w", err)
	}
	if memos != nil {
		if m := memos.find(); m != nil {
			return m.Image, memos.recall(m)
		}
	}
	if err := s.engine.RemakeLinks(); err != nil { // some ms where there are hundreds of layers: not for what is kept
		return "", err
	}
	net, err := s.prepareRun(ctx, &o)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // for stages that are still at work when another has failed
	if err := s.fetchContexts(ctx, o.AdditionalBuildContexts); err != nil {
		return "", err
	}
	b.Quiet = false // the memo wants the steps; who is not to see them does not
	files, shown, err := s.prepared(&o, r)
	if err != nil {
		return "", errors.Join(err, net.close())
	}
	t := newTracker(func(e Event) {
		e.Text = shown(e.Text)
		if memos != nil {
			memos.note(e)
		}
		o.Progress.Show(e)
	})
	b.Out, b.Err = t, t
	policy := b.PullPolicy
	if o.AllPlatforms {
		err = s.findPlatforms(ctx, &o, r)
	}
	if err == nil {
		err = s.fetchBases(ctx, &o, r, t)
	}
	if err != nil {
		s.failed = true
		t.finish(err, Event{})
		return "", errors.Join(err, net.close())
	}
	t.warn(s.chooseFormat(&o, r))
	scan, err := s.holdForScan(&o)
	if err != nil {
		return "", errors.Join(err, net.close())
	}
	if b.ReportWriter != io.Discard {
		b.ReportWriter = withoutStandIns{t}
	}
	p, err := s.divertPulls(ctx, &o, r, policy, t)
	if err != nil {
		return "", errors.Join(err, net.close())
	}
	g := &gate{Store: store, mounts: copier.NewMounts(s.tmp), pulls: p}
	g.check = func(id string) error { return s.checkTriggers(id, &o) }
	id, _, err := imagebuildah.BuildDockerfiles(ctx, &mountParents{g}, o.BuildOptions, files...)
	err = p.told(telling(err))
	g.shut.Store(err != nil)
	if ended := p.end(err != nil); ended != nil {
		err = errors.Join(err, ended)
	}
	var failed Event
	switch {
	case err == nil && scan != nil:
		id, err = scan.finish(ctx, s, &o, id, t)
	case err != nil:
		step, runtime := t.failing(err)
		failed, err = step, inUsersWords(shown, s.retell(ctx, err, step, runtime, r, &o))
	}
	s.failed = s.failed || err != nil
	t.finish(err, failed)
	if err == nil && memos != nil {
		err = memos.keep(id)
	}
	return id, errors.Join(err, net.close())
}

// prepareRun fills in what belongs to the host: where images come from, the OCI runtime, limits, directories and the network.
func (s *Session) prepareRun(ctx context.Context, o *Options) (*runNetwork, error) {
	b := &o.BuildOptions
	b.ContainerSuffix = s.suffix()
	sys, err := s.systemContext()
	if err != nil {
		return nil, err
	}
	b.SystemContext = completeSystemContext(b.SystemContext, sys)
	if b.PullPolicy != define.PullNever {
		if err := s.installBuiltins(ctx, o); err != nil {
			return nil, err
		}
	}
	give, err := s.holdSources(b)
	if err != nil {
		return nil, err
	}
	if err := s.confine(ctx, b, o.Security, give); err != nil {
		return nil, err
	}
	s.survive(b)
	if len(b.CommonBuildOpts.SSHSources) > 0 {
		if err := s.limitAgents(b); err != nil {
			return nil, err
		}
		if err := s.shortenTmp(); err != nil {
			return nil, err
		}
	}
	net, err := s.network(ctx, b)
	if err != nil {
		return nil, err
	}
	b.NetworkInterface = net
	return net, nil
}

// installBuiltins puts images that this program carries into the store, where a Containerfile names them: hello.
func (s *Session) installBuiltins(ctx context.Context, o *Options) error {
	for _, f := range o.Files {
		text, err := containerfile(o, f)
		if err != nil {
			continue // it is said elsewhere
		}
		for _, m := range sourceWord().FindAllSubmatch(text, -1) {
			if name := string(m[1]); image.IsBuiltin(name) {
				if _, err := s.images.Pull(ctx, name, image.PullOptions{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// survive makes that a stage which fails does not crash those that are at work at the same time: buildah 1.44 does not wait
// for them when it takes away what they work with (see gate). With layers it is told to take away nothing, and the session
// removes the working containers in the end; without, only one stage is built at a time.
func (s *Session) survive(b *define.BuildOptions) {
	if !b.Layers {
		one := 1
		b.Jobs = &one
	}
	b.JobSemaphore = stageSlots(b.Jobs)
	if !b.Layers {
		return
	}
	s.drop = s.drop || b.RemoveIntermediateCtrs
	b.RemoveIntermediateCtrs, b.ForceRmIntermediateCtrs = false, false
}

// stageSlots are as many as stages may be built at once; no number or 0 is all. Some more are taken and never used: a stage that
// waits for another gives up its own, and when the build is cancelled gives it up once more, which would be a panic.
func stageSlots(jobs *int) *semaphore.Weighted {
	const spare, all = 1 << 20, 1 << 20
	n := int64(all)
	if jobs != nil && *jobs > 0 {
		n = int64(*jobs)
	}
	slots := semaphore.NewWeighted(n + spare)
	slots.TryAcquire(spare)
	return slots
}

// completeSystemContext takes from the engine's what the flags have not said.
func completeSystemContext(flags, engine *types.SystemContext) *types.SystemContext {
	if flags == nil {
		return engine
	}
	sys := *flags
	for _, f := range []struct{ to, from *string }{
		{&sys.SignaturePolicyPath, &engine.SignaturePolicyPath}, {&sys.SystemRegistriesConfPath, &engine.SystemRegistriesConfPath},
		{&sys.AuthFilePath, &engine.AuthFilePath}, {&sys.BigFilesTemporaryDir, &engine.BigFilesTemporaryDir},
	} {
		if *f.to == "" {
			*f.to = *f.from
		}
	}
	return &sys
}

// confine has RUN use the OCI runtime as the engine does, and be confined as its containers are: see package confine. The files at give are given to
// the user of each RUN.
func (s *Session) confine(ctx context.Context, b *define.BuildOptions, sec spec.Security, give []string) error {
	o, err := s.engine.ConfSpec()
	if err != nil {
		return err
	}
	o.Security = sec
	if err := s.limits(b, &o); err != nil {
		return err
	}
	roots := newRoots(s.engine)
	r, err := s.engine.OCIRuntime(ctx, roots.ociRoot(s.id), "build-"+s.id, b.CommonBuildOpts.CgroupParent, &o)
	if err != nil {
		return err
	}
	if !o.NoCgroup {
		s.cgroup = o.CgroupPath
	}
	if err := (confine.Plan{Spec: o, RunArgs: r.RunArgs, SeccompCache: r.SeccompCache, Give: give}).Write(s.tmp); err != nil {
		return fmt.Errorf("write down how RUN is confined: %w", err)
	}
	// buildah hears of the limits as they are in the end: by itself it would raise them for root, who may lack the right to.
	b.CommonBuildOpts.Ulimit = nil
	for _, l := range o.AllUlimits() {
		b.CommonBuildOpts.Ulimit = append(b.CommonBuildOpts.Ulimit, fmt.Sprintf("%s=%d:%d", strings.ToLower(strings.TrimPrefix(l.Name, "RLIMIT_")), l.Soft, l.Hard))
	}
	asked := slices.ContainsFunc(b.NamespaceOptions, func(o define.NamespaceOption) bool { return o.Name == string(specs.UTSNamespace) })
	if o.Host.NoHostname && !asked { // in a container: buildah would give RUN a host name
		b.NamespaceOptions = append(b.NamespaceOptions, define.NamespaceOption{Name: string(specs.UTSNamespace), Host: true})
	}
	if b.Isolation == define.IsolationChroot {
		return nil
	}
	// Rootless isolation differs in its network only, and that is this package's for both.
	b.Isolation = define.IsolationOCI
	data, err := json.Marshal(r.Runtime)
	if err != nil {
		return err
	}
	if err := os.WriteFile(roots.runtimeFile(s.id), data, 0o600); err != nil {
		return err
	}
	b.Runtime, b.RuntimeArgs = r.Path, r.Args
	if r.HideUnified {
		return host.HideUnified()
	}
	return nil
}

// limits takes the limits that the flags set.
func (s *Session) limits(b *define.BuildOptions, o *spec.Options) (err error) {
	c := b.CommonBuildOpts
	if o.Ulimits, err = spec.ParseUlimits(c.Ulimit, o.Host); err != nil {
		return err
	}
	r := &o.Resources
	r.Memory, r.MemorySwap, r.CpusetCpus, r.CpusetMems = c.Memory, c.MemorySwap, c.CPUSetCPUs, c.CPUSetMems
	r.CPUPeriod, r.CPUQuota, r.CPUShares = c.CPUPeriod, c.CPUQuota, c.CPUShares
	if c.ShmSize != "" {
		size, err := spec.ParseSize("shm-size", c.ShmSize)
		if err != nil {
			return err
		}
		o.ShmSize = &size
	}
	return r.Check()
}

func (s *Session) network(ctx context.Context, b *define.BuildOptions) (*runNetwork, error) {
	o := network.Options{Rootless: s.engine.Rootless(), RuntimeDir: s.engine.RuntimeDir()}
	var err error
	ns := b.NamespaceOptions
	for i := range ns {
		if ns[i].Name != string(specs.NetworkNamespace) || ns[i].Path == "" || filepath.IsAbs(ns[i].Path) {
			continue
		}
		if o.Mode, err = network.ParseMode(ns[i].Path); err != nil {
			return nil, field.Errorf("%s: %w", field.Name("network"), err)
		}
		ns[i].Path = "" // what is not a path, buildah takes for a list of networks
		if o.Mode.Kind == network.Container {
			if ns[i].Path, err = s.containerNetwork(ctx, o.Mode.Container); err != nil {
				return nil, err
			}
		}
	}
	if err := s.engine.NetworkDefaults(&o); err != nil {
		return nil, err
	}
	return newRunNetwork(ctx, s.run, o), nil
}

// containerNetwork is the path of a running container's network namespace.
func (s *Session) containerNetwork(ctx context.Context, name string) (string, error) {
	c, err := s.engine.Lookup(ctx, name)
	if err != nil {
		return "", field.Errorf("%s container:%s: %w", field.Name("network"), name, err)
	}
	if !libctr.Alive(c.State) {
		return "", hint.Add(field.Errorf("%s container:%s: %w", field.Name("network"), name, libctr.ErrNotRunning), "start it with: %s", hint.To(hint.StartContainer, name))
	}
	return fmt.Sprintf("/proc/%d/ns/net", c.State.Pid), nil
}
