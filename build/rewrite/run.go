package rewrite

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cyphar/filepath-securejoin"
)

// run writes out what --mount leaves out: buildah takes only what says type=bind for a part of the cache's key, looks for a
// stage by the name that it was given, and hashes a link in place of what it leads to.
func (r *rewriter) run(word string, flags []string, rest, original string) (string, error) {
	before := slices.Clone(flags)
	for i, f := range flags {
		if value, ok := strings.CutPrefix(f, "--mount="); ok {
			mount, err := r.mount(value)
			if err != nil {
				return "", err
			}
			flags[i] = "--mount=" + mount
		}
	}
	if slices.Equal(flags, before) {
		return original, nil
	}
	for i := range flags {
		if flags[i] != before[i] {
			r.shown = append(r.shown, flags[i], before[i])
		}
	}
	return join(word, flags, rest), nil
}

func (r *rewriter) mount(value string) (string, error) {
	fields := strings.Split(value, ",")
	kind, from := "", false
	for i, f := range fields {
		key, v, has := strings.Cut(f, "=")
		switch key = strings.ToLower(key); {
		case strings.Contains(key, "$"):
			return value, nil // who knows what it says
		case has && key == "type":
			kind = strings.ToLower(v)
			fields[i] = "type=" + kind
		case has && key == "from":
			from = true
			name, err := r.mountFrom(v)
			if err != nil {
				return "", err
			}
			fields[i] = "from=" + name
		case has && access(key, v) != "":
			fields[i] = access(key, v)
		}
	}
	if kind == "" {
		kind = "bind"
		fields = append([]string{"type=bind"}, fields...)
	}
	if kind != "bind" || from || r.Context == "" {
		return strings.Join(fields, ","), nil
	}
	for i, f := range fields {
		key, v, _ := strings.Cut(f, "=")
		if key = strings.ToLower(key); key != "source" && key != "src" || v == "" || strings.ContainsAny(v, `$"'`) {
			continue
		}
		fields[i] = key + "=" + followed(r.Context, v)
	}
	return strings.Join(fields, ","), nil
}

// access is how buildah has an option that Docker gives a value to: without one.
func access(key, value string) string {
	on, err := strconv.ParseBool(value)
	if err != nil {
		return ""
	}
	switch key {
	case "rw", "readwrite":
	case "ro", "readonly":
		on = !on
	default:
		return ""
	}
	if on {
		return "rw"
	}
	return "ro"
}

// mountFrom is the stage that buildah finds under a name or number. Of a name that is a variable it can make no cache key.
func (r *rewriter) mountFrom(name string) (string, error) {
	if strings.Contains(name, "$") {
		words, known, _ := r.expand(name)
		if !known || len(words) != 1 {
			return "", fmt.Errorf("--mount: from=%s: its value is not known: set the variable with ARG or ENV in this Containerfile, or begin a stage with it: FROM %s AS NAME", name, name)
		}
		name = words[0]
	}
	if ref, ok := r.find(name); ok {
		return ref, nil
	}
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < r.at && !slices.Contains(r.Contexts, name) {
		return r.stages[i].ref, nil
	}
	return name, nil
}

// followed is where a path in the context leads to.
func followed(dir, name string) string {
	resolved, err := securejoin.SecureJoin(dir, name)
	if err != nil {
		return name
	}
	rel, err := filepath.Rel(dir, resolved)
	if err != nil || rel == strings.TrimPrefix(path.Clean("/"+name), "/") {
		return name
	}
	return rel
}
