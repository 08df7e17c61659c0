// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// feature is a devcontainer Feature's metadata (containers.dev, devcontainer-feature.json).
type feature struct {
	ID            string                    `json:"id"`
	Version       string                    `json:"version"`
	Name          string                    `json:"name"`
	Description   string                    `json:"description"`
	Documentation string                    `json:"documentationURL"`
	LicenseURL    string                    `json:"licenseURL"`
	Options       map[string]featureOption  `json:"options"`
	ContainerEnv  map[string]string         `json:"containerEnv"`
	DependsOn     map[string]map[string]any `json:"dependsOn"`
	InstallsAfter []string                  `json:"installsAfter"`
	Deprecated    bool                      `json:"deprecated"`
	LegacyIDs     []string                  `json:"legacyIds"`
}

type featureOption struct {
	Type        string   `json:"type"`
	Default     any      `json:"default"`
	Enum        []string `json:"enum"`
	Proposals   []string `json:"proposals"`
	Description string   `json:"description"`
}

// Imported is a part made from something else.
type Imported struct {
	Containerfile string
	Files         []File
	Readme        string
	Warnings      []string // what could not be taken over
}

// ImportFeature makes a part of a devcontainer Feature: metadata is devcontainer-feature.json, files are the
// Feature's others, install.sh among them. name is the part's; prefix stands before the last component of the Features
// it depends on ("" is name's own).
func ImportFeature(name string, metadata []byte, files []File) (*Imported, error) {
	if !isPartName(name) {
		return nil, Errorf("P003", "name %q is not a lower-case path such as std/nodejs", name)
	}
	var f feature
	if err := json.Unmarshal(metadata, &f); err != nil {
		return nil, Errorf("P003", "devcontainer-feature.json cannot be read: %v", err)
	}
	if e := checkVersion(f.Version); e != nil {
		return nil, e
	}
	if !slices.ContainsFunc(files, func(f File) bool { return f.Path == "install.sh" }) {
		return nil, Errorf("P003", "the Feature has no install.sh")
	}
	im := &featureImport{f: &f, name: name, out: &Imported{Files: files}}
	im.dropped(metadata)
	im.write()
	return im.out, nil
}

type featureImport struct {
	f    *feature
	name string
	out  *Imported
	meta strings.Builder
}

func (im *featureImport) warn(format string, args ...any) {
	im.out.Warnings = append(im.out.Warnings, fmt.Sprintf(format, args...))
}

func (im *featureImport) line(format string, args ...any) {
	fmt.Fprintf(&im.meta, "# "+format+"\n", args...)
}

// taken are the keys of a Feature that have a place in a part, or need none.
var taken = []string{"id", "version", "name", "description", "documentationURL", "licenseURL", "options", "containerEnv", "dependsOn", "installsAfter", "keywords", "legacyIds", "deprecated"}

// dropped warns of settings that a part cannot have: rights of the container, mounts, commands of an editor.
func (im *featureImport) dropped(metadata []byte) {
	var all map[string]any
	if json.Unmarshal(metadata, &all) != nil {
		return
	}
	for _, key := range sortedKeys(all) {
		if !slices.Contains(taken, key) {
			im.warn("%s is dropped: a part changes the image, not how it is run", key)
		}
	}
}

func yamlText(s string) string {
	data, _ := json.Marshal(s) // JSON strings are YAML
	return string(data)
}

func (im *featureImport) write() {
	f := im.f
	im.line("name: %s", im.name)
	im.line("version: %s", f.Version)
	summary := f.Description
	if summary == "" {
		summary = f.Name
	}
	if summary == "" {
		summary = "devcontainer Feature " + f.ID
	}
	im.line("summary: %s", yamlText(oneLine(summary)))
	if strings.HasPrefix(f.Documentation, "https://") {
		im.line("source: %s", yamlText(f.Documentation))
	}
	params := im.params()
	im.requires()
	im.env()
	var body strings.Builder
	var exports []string
	for _, p := range params {
		arg := argName(im.name, p.param)
		body.WriteString("ARG " + arg + "\n")
		exports = append(exports, fmt.Sprintf("%s=\"$%s\"", p.env, arg))
	}
	// The environment that devcontainers give to install.sh.
	exports = append(exports, "_REMOTE_USER=root", "_REMOTE_USER_HOME=/root", "_CONTAINER_USER=root", "_CONTAINER_USER_HOME=/root")
	fmt.Fprintf(&body, "RUN --mount=type=bind,from=files,target=/tmp/feature cp -R /tmp/feature /tmp/feature-work && cd /tmp/feature-work && chmod +x install.sh \\\n"+
		"    && %s ./install.sh && rm -rf /tmp/feature-work\n", strings.Join(exports, " "))
	im.out.Containerfile = "# /// partial\n" + im.meta.String() + "# ///\n" +
		"ARG BASE=docker.io/library/debian:12-slim\nFROM ${BASE} AS base\n\nFROM scratch AS files\nCOPY files/ /\n\nFROM base AS install\n" + body.String()
	im.out.Readme = fmt.Sprintf("# %s\n\n%s\n\nImported from the devcontainer Feature %s %s.\n", im.name, summary, f.ID, f.Version)
}

type featureParam struct{ param, env string }

var notParamChar = regexp.MustCompile(`[^a-z0-9]+`)

// params turns options into parameters. Their variables have the names that install.sh expects.
func (im *featureImport) params() []featureParam {
	var out []featureParam
	if len(im.f.Options) > 0 {
		im.line("params:")
	}
	for _, name := range sortedKeys(im.f.Options) {
		o := im.f.Options[name]
		param := strings.Trim(notParamChar.ReplaceAllString(strings.ToLower(camel(name)), "-"), "-")
		if param == "" || param[0] < 'a' || param == "allow" {
			param = "option-" + param
		}
		value := fmt.Sprint(o.Default)
		if o.Default == nil {
			value = ""
		}
		def := "{type: bool"
		if o.Type == "boolean" {
			if value != "true" {
				value = "false"
			}
		} else if len(o.Enum) > 0 {
			def = "{type: string, enum: " + jsonWords(o.Enum)
			if !slices.Contains(o.Enum, value) {
				value = o.Enum[0]
			}
		} else {
			def = `{type: string, pattern: "[^\\x00-\\x1f]*"`
		}
		def += ", default: " + yamlText(value)
		if d := oneLine(o.Description); d != "" {
			def += ", description: " + yamlText(d)
		}
		im.line("  %s: %s}", param, def)
		out = append(out, featureParam{param, optionEnv(name)})
	}
	return out
}

// camel puts a dash where a capital follows a small letter.
func camel(s string) string {
	return regexp.MustCompile(`([a-z0-9])([A-Z])`).ReplaceAllString(s, "$1-$2")
}

// optionEnv is the variable of an option, by the rule of the Features' specification.
func optionEnv(name string) string {
	s := regexp.MustCompile(`[^\w]`).ReplaceAllString(name, "_")
	return strings.ToUpper(regexp.MustCompile(`^[\d_]+`).ReplaceAllString(s, "_"))
}

// sibling is the part's name that a Feature gets next to this one: ghcr.io/devcontainers/features/common-utils:2 is PREFIX/common-utils.
func (im *featureImport) sibling(ref string) string {
	ref, _, _ = strings.Cut(ref, "@")
	l := leaf(ref)
	l, _, _ = strings.Cut(l, ":")
	return im.name[:strings.LastIndexByte(im.name, '/')+1] + strings.ToLower(l)
}

func (im *featureImport) requires() {
	var list []string
	for _, ref := range sortedKeys(im.f.DependsOn) {
		r := im.sibling(ref)
		if tag := ref[strings.LastIndexByte(ref, ':')+1:]; tag != "" && isDigits(strings.ReplaceAll(tag, ".", "")) && strings.Contains(leaf(ref), ":") {
			r += "@^" + tag
		}
		if len(im.f.DependsOn[ref]) > 0 {
			im.warn("the options of dependsOn %s are dropped: give them where the part is used", ref)
		}
		list = append(list, r)
	}
	if len(list) > 0 {
		im.line("requires: %s", jsonWords(list))
	}
	list = nil
	for _, ref := range im.f.InstallsAfter {
		list = append(list, im.sibling(ref))
	}
	if len(list) > 0 {
		slices.Sort(list)
		im.line("after: %s", jsonWords(slices.Compact(list)))
	}
}

// env takes containerEnv over; PATH=/x:${PATH} becomes a list.
func (im *featureImport) env() {
	if len(im.f.ContainerEnv) == 0 {
		return
	}
	var lines []string
	for _, name := range sortedKeys(im.f.ContainerEnv) {
		value := im.f.ContainerEnv[name]
		before, after, isList := strings.Cut(value, "${"+name+"}")
		switch {
		case !isEnvName(name) || checkText("", value) != nil:
			im.warn("containerEnv %s is dropped: it is no plain variable", name)
		case isList && !strings.Contains(before+after, "$"):
			var rule []string
			if e := strings.FieldsFunc(before, func(c rune) bool { return c == ':' }); len(e) > 0 {
				rule = append(rule, "prepend: "+jsonWords(e))
			}
			if e := strings.FieldsFunc(after, func(c rune) bool { return c == ':' }); len(e) > 0 {
				rule = append(rule, "append: "+jsonWords(e))
			}
			if len(rule) > 0 {
				lines = append(lines, fmt.Sprintf("  %s: {%s}", name, strings.Join(rule, ", ")))
			}
		case strings.Contains(value, "${"):
			im.warn("containerEnv %s=%s is dropped: it names another variable", name, value)
		default:
			lines = append(lines, fmt.Sprintf("  %s: {set: %s}", name, yamlText(value)))
		}
	}
	if len(lines) > 0 {
		im.line("env:")
		for _, l := range lines {
			im.line("%s", l)
		}
	}
}
