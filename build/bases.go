// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/containerd/platforms"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/buildah/define"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// external is an image that a Containerfile names, as far as the stages are needed.
type external struct {
	name     string
	platform image.Platform // empty is that of the build
	node     *parser.Node   // where it is named
	stage    int            // the stage that begins with it; -1 where it is only copied from or mounted
}

// externals lists the images that are needed. known is false where the text alone does not tell them all.
func (r *recipe) externals(o *Options) (images []external, known bool, err error) {
	stages, err := r.resolved(o)
	if err != nil {
		return nil, false, err
	}
	known = true
	add := func(name string, x external) {
		if c, ok := o.AdditionalBuildContexts[name]; ok {
			if !c.IsImage {
				return
			}
			name = c.Value
		}
		switch {
		case name == "scratch":
		case name == "" || strings.Contains(name, "$") || transport().MatchString(name):
			known = false
		default:
			x.name = name
			images = append(images, x)
		}
	}
	for _, i := range r.needed(o) {
		st := r.stages[i]
		x := external{node: st.from, stage: i}
		base, err := stages[i].Builder.From(stages[i].Node)
		if err != nil {
			return nil, false, r.at(st.from, err)
		}
		if base == "" {
			return nil, false, hint.Add(r.at(st.from, fmt.Errorf("%s stands for nothing", st.base)), "give it a value with %s, or a default with ARG before FROM", field.Name("build-arg"))
		}
		if p := stages[i].Builder.Platform; p != "" {
			spec, err := platforms.Parse(p)
			if err != nil {
				return nil, false, r.at(st.from, field.Errorf("%s: %w", field.Name("platform"), err))
			}
			x.platform = image.Platform{OS: spec.OS, Architecture: spec.Architecture, Variant: spec.Variant}
		}
		if r.find(base, i) < 0 {
			add(base, x)
		}
		for _, n := range st.body {
			for _, from := range sourcesOf(n) {
				if strings.Contains(from, "$") {
					if from, err = imagebuilder.ProcessWord(from, localArgs(stages[i].Builder, st, o)); err != nil {
						from = ""
					}
				}
				if _, err := strconv.Atoi(from); err == nil && r.find(from, i) < 0 {
					return nil, false, hint.Add(r.at(n, errors.New("no stage or image found with that name")), "%s", r.stageNames())
				}
				if from == "" || r.find(from, i) < 0 {
					add(from, external{node: n, stage: -1})
				}
			}
		}
	}
	return images, known, nil
}

// resolved are the stages with what ARG before FROM, the flags and the platform make of their variables.
func (r *recipe) resolved(o *Options) (imagebuilder.Stages, error) {
	// A tree of its own: From takes nodes out of it.
	tree := &parser.Node{}
	for _, text := range r.texts {
		t, err := imagebuilder.ParseDockerfile(bytes.NewReader(text))
		if err != nil {
			return nil, err
		}
		tree.Children = append(tree.Children, t.Children...)
	}
	b := imagebuilder.NewBuilder(maps.Clone(o.Args))
	if p := o.platform(); p != (image.Platform{}) {
		spec := platforms.Normalize(platforms.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
		for name, value := range map[string]string{"TARGETOS": spec.OS, "TARGETARCH": spec.Architecture, "TARGETVARIANT": spec.Variant, "TARGETPLATFORM": platforms.Format(spec)} {
			b.BuiltinArgDefaults[name] = value
		}
	}
	stages, err := imagebuilder.NewStages(tree, b)
	if err != nil {
		return nil, &StepError{File: r.files[r.stages[0].from], Err: err}
	}
	if len(stages) != len(r.stages) {
		return nil, errors.New("the stages of the Containerfile cannot be told apart")
	}
	return stages, nil
}

// platform is the one that is asked for; empty if none is, or several are.
func (o *Options) platform() (p image.Platform) {
	if len(o.Platforms) == 1 {
		p = image.Platform{OS: o.Platforms[0].OS, Architecture: o.Platforms[0].Arch, Variant: o.Platforms[0].Variant}
	}
	return p
}

// sourcesOf are the stages and images that an instruction copies from or mounts.
func sourcesOf(n *parser.Node) (names []string) {
	for _, f := range n.Flags {
		if from, ok := strings.CutPrefix(f, "--from="); ok && (n.Value == command.Copy || n.Value == command.Add) {
			names = append(names, from)
		}
		mount, ok := strings.CutPrefix(f, "--mount=")
		if !ok || n.Value != command.Run {
			continue
		}
		for field := range strings.SplitSeq(mount, ",") {
			if from, ok := strings.CutPrefix(field, "from="); ok && from != "" {
				names = append(names, from)
			}
		}
	}
	return names
}

// localArgs are the variables that buildah puts into --from=, as NAME=VALUE; the first of a name counts.
func localArgs(b *imagebuilder.Builder, st stage, o *Options) []string {
	var env []string
	for k, v := range o.Args {
		env = append(env, k+"="+v)
	}
	for _, n := range st.body {
		for w := n.Next; n.Value == command.Arg && w != nil; w = w.Next {
			if strings.Contains(w.Value, "=") && !strings.Contains(w.Value, "$") {
				env = append(env, w.Value)
			}
		}
	}
	for _, defaults := range []map[string]string{b.HeadingArgs, b.BuiltinArgDefaults} {
		for k, v := range defaults {
			env = append(env, k+"="+v)
		}
	}
	return env
}

// target is the index of the stage that is built.
func (r *recipe) target(o *Options) int {
	if i := r.find(o.Target, len(r.stages)); o.Target != "" && i >= 0 {
		return i
	}
	return len(r.stages) - 1
}

// needed are the stages that the target needs, or all up to it where unused ones are built too.
func (r *recipe) needed(o *Options) (indexes []int) {
	target := r.target(o)
	need := map[int]bool{}
	var mark func(int)
	mark = func(i int) {
		if i < 0 || need[i] {
			return
		}
		need[i] = true
		mark(r.find(r.stages[i].base, i))
		for _, f := range r.stages[i].from.Flags {
			if after, ok := strings.CutPrefix(f, "--after="); ok {
				mark(r.find(after, i))
			}
		}
		for _, n := range r.stages[i].body {
			for _, from := range sourcesOf(n) {
				mark(r.find(from, i))
				if strings.Contains(from, "$") { // it may be any
					for k := range i {
						mark(k)
					}
				}
			}
		}
	}
	mark(target)
	for i := range target + 1 {
		if need[i] || o.SkipUnusedStages == types.OptionalBoolFalse || strings.Contains(r.stages[i].base, "$") {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// fetchBases gets the images that the Containerfile names, as --pull says, and then has buildah take them from the store:
// buildah itself asks the registry for images that are there wherever there are several stages, or a platform is asked for,
// and asks for each stage again. Where it cannot be told what will be needed, that is left to buildah.
func (s *Session) fetchBases(ctx context.Context, o *Options, r *recipe, progress io.Writer) error {
	b := &o.BuildOptions
	if len(b.Platforms) > 1 || b.AllPlatforms || b.From != "" || b.SourcePolicyFile != "" || b.OciDecryptConfig != nil {
		return nil
	}
	images, known, err := r.externals(o)
	if err != nil {
		return err
	}
	for _, x := range images {
		if slices.ContainsFunc(images, func(y external) bool { return y.name == x.name && y.want(o, r) != x.want(o, r) }) {
			return nil // the store has one image of a name, and buildah needs them in turn
		}
	}
	if b.PullPolicy == define.PullNever {
		return nil
	}
	seen := map[string]bool{}
	for _, x := range images {
		if seen[x.name] {
			continue
		}
		seen[x.name] = true
		there, err := s.fetchBase(ctx, o, r, x, progress)
		if err != nil {
			return err
		}
		known = known && there
	}
	if known {
		b.PullPolicy = define.PullNever
	}
	return nil
}

// fetchBase gets one image, and reports whether buildah will find it in the store.
func (s *Session) fetchBase(ctx context.Context, o *Options, r *recipe, x external, progress io.Writer) (there bool, err error) {
	want := x.want(o, r)
	if o.PullPolicy == define.PullIfMissing {
		img, err := s.local(x.name, want)
		if err != nil {
			return false, r.at(x.node, err)
		}
		if img != nil {
			return triggersAreLocal(img), nil
		}
		if other, err := s.local(x.name, image.Platform{}); other != nil || err != nil {
			return false, err // of another platform: buildah has rules for that
		}
	}
	store, err := s.store()
	if err != nil {
		return false, err
	}
	rt, err := library.NewRuntime(store, o.SystemContext)
	if err != nil {
		return false, err
	}
	_, err = rt.Pull(ctx, x.name, s.pullOptions(o, want, progress))
	if err = errors.Join(err, rt.Close()); err != nil {
		return false, r.notFetched(x, err)
	}
	img, err := s.local(x.name, want)
	return img != nil && triggersAreLocal(img), err
}

// want is the platform that buildah will insist on: with several stages the host's, if no other is asked for.
func (x external) want(o *Options, r *recipe) image.Platform {
	want := x.platform
	if want == (image.Platform{}) {
		want = o.platform()
	}
	if want == (image.Platform{}) && len(r.stages) > 1 {
		host := platforms.DefaultSpec()
		want = image.Platform{OS: host.OS, Architecture: host.Architecture, Variant: host.Variant}
	}
	return want
}

func (s *Session) pullOptions(o *Options, want image.Platform, progress io.Writer) image.PullOptions {
	p := image.PullOptions{Policy: image.Policy(o.PullPolicy.String()), Platform: want, Progress: progress}
	sys := o.SystemContext
	p.AuthFile, p.CertDir = sys.AuthFilePath, sys.DockerCertPath
	if c := sys.DockerAuthConfig; c != nil {
		p.Creds = c.Username + ":" + c.Password
	}
	if sys.DockerInsecureSkipTLSVerify != types.OptionalBoolUndefined {
		verify := sys.DockerInsecureSkipTLSVerify == types.OptionalBoolFalse
		p.TLSVerify = &verify
	}
	if _, asked := o.Flags["retry"]; asked && o.MaxPullPushRetries >= 0 {
		n := uint(o.MaxPullPushRetries)
		p.Retries = &n
	}
	p.RetryDelay = max(o.PullPushRetryDelay, time.Duration(0))
	return p
}

// local finds an image in the store; nil if it is not there, or not of that platform.
func (s *Session) local(name string, p image.Platform) (*image.Image, error) {
	img, err := s.engine.ImageView().Lookup(name, image.LookupOptions{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant})
	if errors.Is(err, image.ErrNotFound) || errors.Is(err, storage.ErrImageUnknown) {
		return nil, nil
	}
	return img, err
}

// triggersAreLocal reports whether the ONBUILD instructions of an image need no other image.
func triggersAreLocal(img *image.Image) bool {
	c, err := img.Config()
	return err == nil && !slices.ContainsFunc(c.OnBuild, func(line string) bool { return strings.Contains(line, "from=") })
}

// notFetched says of an error of a pull where the image is named, and not the name once more.
func (r *recipe) notFetched(x external, err error) error {
	text := strings.TrimPrefix(err.Error(), fmt.Sprintf("pull image %q: ", x.name))
	if x.stage >= 0 {
		return r.at(x.node, &retold{text, err})
	}
	err = r.at(x.node, &retold{"no stage or image found with that name: " + text, err})
	if strings.ContainsAny(x.name, "/.:") {
		return err
	}
	return hint.Add(err, "%s; an image is named with its registry", r.stageNames())
}
