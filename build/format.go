// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/command"
	"github.com/openshift/imagebuilder/dockerfile/parser"
	"go.podman.io/buildah/define"
)

// Docker's image format has places for a health check, the SHELL and ONBUILD; OCI's has none, and buildah drops them there.
// docs/decisions/0021 says why the format follows what the image needs.

// dockerOnly is what an image has that only Docker's format keeps, and where that comes from.
type dockerOnly struct {
	health, shell bool
	onbuild       bool
	from          map[string]string // "HEALTHCHECK" and the like: Containerfile:7, or the base image
}

// words lists the instructions.
func (d *dockerOnly) words() []string {
	var words []string
	for _, w := range []struct {
		has  bool
		word string
	}{{d.health, "HEALTHCHECK"}, {d.shell, "SHELL"}, {d.onbuild, "ONBUILD"}} {
		if w.has {
			words = append(words, w.word)
		}
	}
	return words
}

// apply does what one instruction does.
func (d *dockerOnly) apply(n *parser.Node, where string, last bool) {
	switch n.Value {
	case command.Healthcheck:
		d.health = n.Next == nil || !strings.EqualFold(n.Next.Value, "NONE")
		d.from["HEALTHCHECK"] = where
	case command.Shell:
		d.shell = true
		d.from["SHELL"] = where
	case command.Onbuild:
		if last {
			d.onbuild = true
			d.from["ONBUILD"] = where
		} else if n.Next != nil && len(n.Next.Children) > 0 {
			d.apply(n.Next.Children[0], where, last)
		}
	}
}

// inherit takes what a base image has.
func (d *dockerOnly) inherit(c *image.Config, base string) {
	where := "the image " + base
	if c.Healthcheck != nil && len(c.Healthcheck.Test) > 0 && c.Healthcheck.Test[0] != "NONE" {
		d.health, d.from["HEALTHCHECK"] = true, where
	}
	if len(c.Shell) > 0 {
		d.shell, d.from["SHELL"] = true, where
	}
	triggers, err := imagebuilder.ParseDockerfile(bytes.NewReader([]byte(strings.Join(c.OnBuild, "\n"))))
	if err != nil {
		return // buildah says so
	}
	for _, n := range triggers.Children {
		d.apply(n, where, false)
	}
}

// dockerOnly finds what the image that is built will have that only Docker's format keeps.
func (s *Session) dockerOnly(o *Options, r *recipe) *dockerOnly {
	d := &dockerOnly{from: map[string]string{}}
	target := r.target(o)
	chain := []int{target}
	for i := r.find(r.stages[target].base, target); i >= 0; i = r.find(r.stages[i].base, i) {
		chain = append([]int{i}, chain...)
	}
	images, _, err := r.externals(o)
	if err != nil {
		return d // it is said elsewhere
	}
	for _, x := range images {
		if x.stage != chain[0] {
			continue
		}
		if img, err := s.local(x.name, x.want(o, r)); err == nil && img != nil {
			if c, err := img.Config(); err == nil {
				d.inherit(c, x.name)
			}
		}
	}
	for _, i := range chain {
		for _, n := range r.stages[i].body {
			d.apply(n, fmt.Sprintf("%s:%d", r.files[n], n.StartLine), i == target)
		}
	}
	return d
}

// chooseFormat takes Docker's format for an image that needs it, unless the user has asked for another, or for annotations,
// which only OCI's has. It returns what to warn of.
func (s *Session) chooseFormat(o *Options, r *recipe) (warning string) {
	b := &o.BuildOptions
	d := s.dockerOnly(o, r)
	words := d.words()
	if len(words) == 0 || b.OutputFormat != define.OCIv1ImageManifest {
		return ""
	}
	if !o.FormatGiven && len(b.Annotations) == 0 {
		b.OutputFormat = define.Dockerv2ImageManifest
		return ""
	}
	for i, w := range words {
		words[i] = w + " (" + d.from[w] + ")"
	}
	why := "--format oci"
	if !o.FormatGiven {
		why = "--annotation"
	}
	return strings.Join(words, ", ") + " will not be in the image: " + why + " asks for OCI's format, which has no place for it; build with --format docker to keep it"
}
