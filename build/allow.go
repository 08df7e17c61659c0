// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/buildah/define"
)

// A Containerfile, and an image by its ONBUILD triggers, may come from anybody: RUN gets no more than the caller of the build
// has given. Of what an instruction can ask for, only --network=host is more (docs/security.md).

var errHostNetwork = errors.New("RUN --network=host: the build does not allow the host's network")

var errNoneInChroot = field.Errorf("RUN --network=none: %s chroot has no network but the host's", field.Name("isolation"))

// hostNetworkAllowed reports whether the caller has given RUN the host's network.
func (o *Options) hostNetworkAllowed() bool {
	return o.AllowHostNetwork || slices.ContainsFunc(o.NamespaceOptions, func(n define.NamespaceOption) bool {
		return n.Name == string(specs.NetworkNamespace) && (n.Host || n.Path == "host")
	})
}

// wantsNetwork reports whether an instruction, or one that it makes a trigger, is RUN with a network. A value with a variable in it
// may be that.
func wantsNetwork(network string, n *parser.Node) bool {
	if strings.EqualFold(n.Value, command.Onbuild) && n.Next != nil {
		return slices.ContainsFunc(n.Next.Children, func(n *parser.Node) bool { return wantsNetwork(network, n) })
	}
	return strings.EqualFold(n.Value, command.Run) && slices.ContainsFunc(n.Flags, func(flag string) bool {
		value, ok := strings.CutPrefix(flag, "--network=")
		return ok && (strings.EqualFold(value, network) || strings.Contains(value, "$"))
	})
}

// checkNetwork refuses an instruction that takes more than it is given, or asks for what chroot cannot do.
func (o *Options) checkNetwork(n *parser.Node) error {
	if !o.hostNetworkAllowed() && wantsNetwork("host", n) {
		return hint.Add(errHostNetwork, "if you trust what is built, allow it with %s network.host, or give the whole build the host's network with %s host",
			field.Name("allow"), field.Name("network"))
	}
	if o.Isolation == define.IsolationChroot && wantsNetwork("none", n) {
		return hint.Add(errNoneInChroot, "leave %s chroot out, or the flag of RUN", field.Name("isolation"))
	}
	return nil
}

// checkNetworks checks a Containerfile.
func (r *recipe) checkNetworks(nodes []*parser.Node, o *Options) error {
	for _, n := range nodes {
		var hinted *hint.Error
		if errors.As(o.checkNetwork(n), &hinted) {
			return hint.With(r.at(n, hinted.Err), hinted.Hint)
		}
	}
	return nil
}

// leadsOut reports whether an instruction of a base image's trigger mounts what is not below its context by the path that it names: for the cache's key,
// buildah (1.44, generatePathChecksum) reads what that leads to on the host. Those of the Containerfile are rewritten.
func leadsOut(n *parser.Node, o *Options) bool {
	return strings.EqualFold(n.Value, command.Run) && slices.ContainsFunc(n.Flags, func(flag string) bool {
		value, ok := strings.CutPrefix(flag, "--mount=")
		if !ok {
			return false
		}
		dir, source := o.ContextDirectory, "."
		for f := range strings.SplitSeq(value, ",") {
			switch key, v, _ := strings.Cut(f, "="); key {
			case "src", "source":
				source = v
			case "from":
				if dir = ""; o.AdditionalBuildContexts[v] != nil {
					dir = contextDir(o.AdditionalBuildContexts[v])
				}
			}
		}
		if dir == "" {
			return false
		}
		if strings.ContainsAny(source, `$"'\`) {
			return true
		}
		top, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return true
		}
		path, err := filepath.EvalSymlinks(filepath.Join(dir, source))
		if errors.Is(err, fs.ErrNotExist) {
			return !filepath.IsLocal(strings.TrimPrefix(source, "/")) // who mounts it says that it is not there
		}
		return err != nil || path != top && !within(top, path)
	})
}

// checkTriggers refuses a base image whose triggers take more than they are given.
func (s *Session) checkTriggers(id string, o *Options) error {
	img, err := s.engine.ImageView().Lookup(id, image.LookupOptions{})
	if err != nil {
		return err
	}
	conf, err := img.Config()
	if err != nil {
		return err
	}
	for _, trigger := range conf.OnBuild {
		tree, err := imagebuilder.ParseDockerfile(strings.NewReader(trigger))
		if err != nil {
			return fmt.Errorf("parse ONBUILD %s: %w", trigger, err)
		}
		if slices.ContainsFunc(tree.Children, func(n *parser.Node) bool { return leadsOut(n, o) }) {
			return fmt.Errorf("ONBUILD %s of the base image %.12s: the source of its mount is not plainly in the context", trigger, id)
		}
		for _, n := range tree.Children {
			if err := o.checkNetwork(n); err != nil {
				return fmt.Errorf("ONBUILD of the base image %.12s: %w", id, err)
			}
		}
	}
	return nil
}
