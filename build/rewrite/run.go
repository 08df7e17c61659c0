// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

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
	kind, from, name := "", false, ""
	for i, f := range fields {
		key, v, has := strings.Cut(f, "=")
		switch key = strings.ToLower(key); {
		case strings.Contains(key, "$") && len(fields) > 1:
			return "", fmt.Errorf("--mount: %q: write the names of its options without variables", f)
		case strings.Contains(key, "$"):
			return value, nil // who knows what it says
		case has && key == "type":
			kind = strings.ToLower(v)
			fields[i] = "type=" + kind
		case has && key == "from":
			from = true
			var err error
			if name, err = r.mountFrom(v); err != nil {
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
	dir := r.Context
	if from {
		dir = r.Contexts[name]
	}
	if kind != "bind" || dir == "" {
		return strings.Join(fields, ","), nil
	}
	return r.contextMount(dir, fields)
}

// contextMount has a bind mount of a context name a source that lies in it. For the cache's key buildah (1.44, generatePathChecksum) reads what the source's
// path leads to on the host, with .. and links, not as RUN gets it. Where the source is not known here, the type is left out, which keeps buildah
// from that, and the key has a sum that is made here.
func (r *rewriter) contextMount(dir string, fields []string) (string, error) {
	above, sure := ".", true
	for i, f := range fields {
		key, v, _ := strings.Cut(f, "=")
		if key = strings.ToLower(key); key != "source" && key != "src" || v == "" {
			continue
		}
		source := v
		if words, known, _ := r.expand(v); known && len(words) == 1 {
			source = words[0]
		} else if strings.ContainsAny(v, "$\"'\\") {
			sure = false
			source, _, _ = strings.Cut(v, "$")
			above = followed(dir, path.Dir(source+"x"))
			continue
		}
		source = followed(dir, source)
		if sure = !strings.ContainsAny(source, "$\"'\\,="); sure {
			fields[i] = key + "=" + source
		} else {
			above = source
		}
	}
	if !sure {
		sum, err := sumOf(dir, above)
		if err != nil {
			return "", fmt.Errorf("--mount: %w", err)
		}
		fields = append(slices.DeleteFunc(fields, func(f string) bool { return f == "type=bind" }), "consistency="+sum)
	}
	return strings.Join(fields, ","), nil
}

// sumOf is what a path of a directory holds, without times. Nothing outside of the directory is read.
func sumOf(dir, name string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer root.Close()
	h := sha256.New()
	err = fs.WalkDir(root.FS(), filepath.ToSlash(name), func(name string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // who mounts it says so
		}
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		sys := st.Sys().(*syscall.Stat_t)
		fmt.Fprintf(h, "%q %o %d %d %d\n", name, st.Mode(), sys.Uid, sys.Gid, sys.Rdev)
		switch {
		case st.Mode()&fs.ModeSymlink != 0:
			target, err := root.Readlink(name)
			fmt.Fprintf(h, "%q\n", target)
			return err
		case st.Mode().IsRegular():
			f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			n, err := io.Copy(h, f)
			fmt.Fprintf(h, "%d\n", n)
			return err
		}
		return nil
	})
	return hex.EncodeToString(h.Sum(nil)), err
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
	if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < r.at && !r.isContext(name) {
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
	if err != nil || rel == strings.Trim(name, "/") {
		return name
	}
	return rel
}
