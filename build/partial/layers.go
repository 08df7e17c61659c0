// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// BuildLayers says which block of a composed file made which layers of an image that was built of it.
type BuildLayers struct {
	Version int           `json:"layers"`           // 1
	Base    int           `json:"base"`             // how many of the layers are the base's
	DiffIDs []string      `json:"diffIDs"`          // all of the image's, the lowest first
	Blocks  []BlockLayers `json:"blocks,omitempty"` // none where steps and layers do not correspond, as in an image of one layer
}

// BlockLayers are the layers of one block.
type BlockLayers struct {
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"`
	Digest  string   `json:"digest,omitempty"`
	DiffIDs []string `json:"diffIDs"`
}

// ParseBuildLayers reads what a build record has.
func ParseBuildLayers(data []byte) (*BuildLayers, error) {
	var l BuildLayers
	if err := json.Unmarshal(data, &l); err != nil {
		return nil, fmt.Errorf("read the layers of a build record: %w", err)
	}
	if l.Version != 1 || l.Base < 0 || l.Base > len(l.DiffIDs) {
		return nil, fmt.Errorf("read the layers of a build record: version %d is not known, or it contradicts itself", l.Version)
	}
	return &l, nil
}

// LayersOf maps the blocks of a composed file's last stage to layers. base is how many of the image's layers are those
// of the image that it began with.
func LayersOf(text string, diffIDs []string, base int) (*BuildLayers, error) {
	l := &BuildLayers{Version: 1, Base: base, DiffIDs: diffIDs}
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return nil, err
	}
	_, chain := lastStages(cf)
	var makers []*instruction
	for _, in := range chain {
		if in.cmd == "RUN" || in.cmd == "COPY" || in.cmd == "ADD" {
			makers = append(makers, in)
		}
	}
	if len(makers) != len(diffIDs)-base {
		return l, nil
	}
	block, known := blocksByLine(cf), Blocks(text)
	for i, in := range makers {
		name := block[in.start]
		if name == "" {
			continue
		}
		at := slices.IndexFunc(l.Blocks, func(b BlockLayers) bool { return b.Name == name })
		if at < 0 {
			b := BlockLayers{Name: name}
			if k := slices.IndexFunc(known, func(b BlockOf) bool { return b.Name == name && b.Digest != "" }); k >= 0 {
				b.Version, b.Digest = known[k].Version, known[k].Digest
			}
			l.Blocks, at = append(l.Blocks, b), len(l.Blocks)
		}
		l.Blocks[at].DiffIDs = append(l.Blocks[at].DiffIDs, diffIDs[base+i])
	}
	return l, nil
}

// lastStages returns the image that the last stage stands on, and the instructions of the stages from there on.
func lastStages(cf *containerfile) (image string, body []*instruction) {
	type stage struct {
		image string
		body  []*instruction
	}
	names := map[string]*stage{}
	var last *stage
	for i := range cf.instrs {
		in := &cf.instrs[i]
		if in.cmd != "FROM" {
			if last != nil {
				last.body = append(last.body, in)
			}
			continue
		}
		image, name, _, err := in.from()
		if err != nil {
			return "", nil
		}
		s := &stage{image: image}
		if parent := names[strings.ToLower(image)]; parent != nil {
			s.image, s.body = parent.image, slices.Clone(parent.body)
		}
		if name != "" {
			names[name] = s
		}
		last = s
	}
	if last == nil {
		return "", nil
	}
	return last.image, last.body
}

// FirstImage is the image that the last stage of a composed file stands on, through the stages between; "scratch", or ""
// if there is none.
func FirstImage(text string) string {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return ""
	}
	image, _ := lastStages(cf)
	return image
}

// shared are files and directories that more than one part writes by right: the system's users, and what package managers
// and loaders keep. A directory ends with a slash.
var shared = []string{"/etc/.pwd.lock", "/etc/.updated", "/etc/.java/", "/etc/ld.so.cache~", "/etc/mtab", "/etc/shells", "/etc/environment", "/etc/ca-certificates.conf", "/etc/ssl/certs/",
	"/etc/alternatives/", "/usr/share/mime/", "/usr/lib/locale/", "/etc/passwd", "/etc/passwd-", "/etc/group", "/etc/group-", "/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-",
	"/etc/subuid", "/etc/subuid-", "/etc/subgid", "/etc/subgid-", "/etc/ld.so.cache", "/etc/apk/", "/lib/apk/", "/usr/lib/apk/", "/var/lib/", "/var/cache/", "/var/log/",
	"/usr/lib/sysimage/", "/run/", "/tmp/", "/root/", "/usr/share/info/dir"}

func isShared(path string) bool {
	return slices.ContainsFunc(shared, func(s string) bool { return path == s || strings.HasSuffix(s, "/") && strings.HasPrefix(path, s) })
}

// maxOverlaps bounds what is said of one build.
const maxOverlaps = 10

// Overlaps names the files that two parts wrote, in the order of their paths. files lists those of the i-th layer of the image.
func (l *BuildLayers) Overlaps(files func(layer int) ([]string, error)) ([]string, error) {
	first := map[string]string{}
	var found []string
	for _, b := range l.Blocks {
		mine := map[string]bool{}
		for _, d := range b.DiffIDs {
			list, err := files(slices.Index(l.DiffIDs, d))
			if err != nil {
				return nil, err
			}
			for _, f := range list {
				mine[f] = true
			}
		}
		for _, f := range sortedKeys(mine) {
			switch other := first[f]; {
			case isShared(f):
			case other != "":
				found = append(found, fmt.Sprintf("%s was written by %s and then by %s", f, other, b.Name))
			default:
				first[f] = b.Name
			}
		}
	}
	slices.Sort(found)
	if n := len(found); n > maxOverlaps {
		found = append(found[:maxOverlaps], fmt.Sprintf("and %d more files were written by two parts", n-maxOverlaps))
	}
	return found, nil
}

// Installed are the blocks of a composed file that its last stage has, one for each part.
func Installed(text string) []BlockOf {
	cf, err := parseContainerfile("", BodyOf(text), "P071")
	if err != nil {
		return nil
	}
	_, chain := lastStages(cf)
	block := blocksByLine(cf)
	var found []BlockOf
	for _, b := range Blocks(text) {
		in := slices.ContainsFunc(chain, func(in *instruction) bool { return block[in.start] == b.Name })
		if in && b.Digest != "" && !slices.ContainsFunc(found, func(o BlockOf) bool { return o.Name == b.Name }) {
			found = append(found, b)
		}
	}
	return found
}

// Values are the values of the part's parameters: those given, and defaults. They are not checked.
func (p *Part) Values(given map[string]string) map[string]string {
	values, _ := p.Meta.bind(given)
	return values
}

// GivenParams are the parameters that the use lines of a composed file give, by the references there.
func GivenParams(text string) map[string]map[string]string {
	given := map[string]map[string]string{}
	back, err := Uncompose(text, nil, nil)
	if err != nil {
		return given
	}
	src, err := looseSource("", back)
	if err != nil {
		return given
	}
	for _, u := range src.d.uses {
		given[u.Ref.Text] = u.Params
	}
	return given
}
