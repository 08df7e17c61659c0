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
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"go.podman.io/buildah"
	"go.podman.io/buildah/define"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/shell"
)

// ScanRun is one command of a scanner that makes a bill of materials. It runs in a container of its own, like any of Berth's;
// buildah 1.44 would run it in a working container without the network and limits that it can be given (scan.go).
type ScanRun struct {
	Image  string
	Pull   string   // the policy, as --pull has it
	Args   []string // in place of the image's entrypoint and command
	Mounts []string // as `run --volume` takes them
	Output io.Writer
}

// Where a scanner finds things, as buildah has it.
const (
	scanRootfs  = "/.rootfs"
	scanContext = "/.context"
	scanResults = "/.scans"
)

// scanned is a build whose image is scanned before it gets its names.
type scanned struct {
	scan  define.SBOMScanOptions
	names []string
	iid   string // files for the ID, and for the metadata
	raw   string
	meta  string
}

// holdForScan takes out of the options what is done once the image is scanned: the scan, names, files with the ID. It returns nil
// where nothing is scanned.
func (s *Session) holdForScan(o *Options) (*scanned, error) {
	b := &o.BuildOptions
	if len(b.SBOMScanOptions) == 0 {
		return nil, nil
	}
	for what, given := range map[any]bool{"several platforms": len(b.Platforms) > 1 || b.AllPlatforms, field.Name("manifest"): b.Manifest != "", field.Name("output"): len(b.BuildOutputs) > 0} {
		if given {
			return nil, hint.Add(field.Errorf("%s is not supported with %s: one image is scanned", field.Name("sbom"), what), "build the images one by one")
		}
	}
	if o.Scan == nil {
		return nil, field.Errorf("%s: this program cannot run containers", field.Name("sbom"))
	}
	h := &scanned{scan: b.SBOMScanOptions[0], iid: b.IIDFile, raw: b.IIDFileRaw}
	for _, n := range append([]string{b.Output}, b.AdditionalTags...) {
		if n == "" {
			continue
		}
		named, err := libimage.NormalizeName(n)
		if err != nil {
			return nil, fmt.Errorf("image name %q: %w", n, err)
		}
		h.names = append(h.names, named.String())
	}
	b.SBOMScanOptions, b.Output, b.AdditionalTags, b.IIDFile = nil, "", nil, ""
	b.IIDFileRaw = filepath.Join(s.tmp, "scanned-id") // so that buildah does not tell the ID as the result
	if h.changesImage() {
		h.meta, b.MetadataFile = b.MetadataFile, ""
	}
	return h, nil
}

// changesImage reports whether files are added to the image.
func (h *scanned) changesImage() bool {
	return h.scan.ImageSBOMOutput != "" || h.scan.ImagePURLOutput != ""
}

// finish scans the image, adds to it what is asked for, and names it. It returns the ID of the result.
func (h *scanned) finish(ctx context.Context, s *Session, o *Options, inner string, t *tracker) (string, error) {
	store, err := s.store()
	if err != nil {
		return "", err
	}
	id, err := h.scanImage(ctx, s, o, store, inner, t)
	if err != nil {
		return "", field.Errorf("%s: %w", field.Name("sbom"), err)
	}
	if id != inner && !o.Layers { // that was made for this alone; its layers are those of the result
		if _, err := store.DeleteImage(inner, true); err != nil {
			return "", field.Errorf("%s: %w", field.Name("sbom"), err)
		}
	}
	if len(h.names) > 0 {
		if err := store.AddNames(id, h.names); err != nil {
			return "", fmt.Errorf("name the image: %w", err)
		}
	}
	return id, h.tell(id, t)
}

// scanImage scans an image in a working container, and returns its ID, or that of the image with the results in it.
func (h *scanned) scanImage(ctx context.Context, s *Session, o *Options, store storage.Store, id string, t *tracker) (_ string, err error) {
	b, err := buildah.NewBuilder(ctx, store, buildah.BuilderOptions{
		FromImage: id, PullPolicy: define.PullNever, ContainerSuffix: s.suffix(), SystemContext: o.SystemContext, Format: o.OutputFormat,
		NetworkInterface: newRunNetwork(ctx, s.run, networkNone), CommonBuildOpts: &define.CommonBuildOptions{},
		IDMappingOptions: o.IDMappingOptions, PreserveBaseImageAnns: true,
	})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, b.Delete()) }()
	bill, purls, err := h.run(ctx, s, o, b, t)
	if err != nil {
		return "", err
	}
	for path, from := range map[string]string{h.scan.SBOMOutput: bill, h.scan.PURLOutput: purls} {
		if path != "" {
			if err := copyFile(path, from); err != nil {
				return "", err
			}
		}
	}
	if !h.changesImage() {
		return id, nil
	}
	if id, err = h.commit(ctx, o, b, bill, purls); err != nil {
		return "", fmt.Errorf("add it to the image: %w", err)
	}
	return id, nil
}

// run runs the scanner's commands, and returns the files with the bill and with the package URLs.
func (h *scanned) run(ctx context.Context, s *Session, o *Options, b *buildah.Builder, t *tracker) (bill, purls string, err error) {
	rootfs, err := b.Mount("")
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, b.Unmount()) }()
	dir := filepath.Join(s.tmp, "scans")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", "", err
	}
	if err := os.Chmod(dir, 0o777); err != nil { // the scanner may run as any user
		return "", "", err
	}
	mounts := []string{dir + ":" + scanResults + ":rw", rootfs + ":" + scanRootfs + ":ro"}
	for i, c := range h.scan.ContextDir {
		mounts = append(mounts, fmt.Sprintf("%s:%s%d:ro", c, scanContext, i))
	}
	commands := h.commands()
	if len(commands) == 0 {
		return "", "", hint.Add(errors.New("no command of the scanner says what to scan"), "write {ROOTFS} or {CONTEXT}, and {OUTPUT}, in %s", field.Name("sbom-scanner-command"))
	}
	var m merger
	for i, args := range commands {
		t.say("scan: " + strings.Join(args, " "))
		err := o.Scan(ctx, ScanRun{Image: h.scan.Image, Pull: scanPull(h.scan.PullPolicy), Args: args, Mounts: mounts, Output: t})
		if err != nil {
			return "", "", fmt.Errorf("scanner %s: %s: %w", h.scan.Image, clip(strings.Join(args, " "), instructionShown), err)
		}
		result, err := readResult(dir, fmt.Sprintf("scan%d.json", i))
		if err != nil {
			return "", "", fmt.Errorf("scanner %s: %s: read its result: %w", h.scan.Image, clip(strings.Join(args, " "), instructionShown), err)
		}
		if err := m.add(h.scan.MergeStrategy, result); err != nil {
			return "", "", fmt.Errorf("scanner %s: %w", h.scan.Image, err)
		}
	}
	bill, purls = filepath.Join(s.tmp, "sbom"), filepath.Join(s.tmp, "purls")
	return bill, purls, errors.Join(m.write(bill), m.writePURLs(purls))
}

// scanPull is the policy for the scanner's image: the build's, as --pull gave it.
func scanPull(p define.PullPolicy) string { return p.String() }

// commands are the scanner's, with paths in place of {ROOTFS}, {CONTEXT} and {OUTPUT}: one that names the context once for each.
func (h *scanned) commands() (all [][]string) {
	put := func(words []string, pairs ...string) {
		pairs = append(pairs, "{OUTPUT}", fmt.Sprintf("%s/scan%d.json", scanResults, len(all)))
		args := make([]string, len(words))
		for i, w := range words {
			args[i] = strings.NewReplacer(pairs...).Replace(w)
		}
		all = append(all, args)
	}
	for _, c := range h.scan.Commands {
		words := []string{"/bin/sh", "-c", c}
		if !strings.ContainsAny(c, "<>|;&$`*?") {
			if w, err := shell.Fields(c, func(string) string { return "" }); err == nil && len(w) > 0 {
				words = w // the image may have no shell
			}
		}
		switch {
		case strings.Contains(c, "{CONTEXT}"):
			for i := range h.scan.ContextDir {
				put(words, "{CONTEXT}", fmt.Sprintf("%s%d", scanContext, i), "{ROOTFS}", scanRootfs)
			}
		case strings.Contains(c, "{ROOTFS}"):
			put(words, "{ROOTFS}", scanRootfs)
		}
	}
	return all
}

// readResult reads what a scanner wrote. It runs somebody else's program, which may have put anything there.
func readResult(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(errors.New("it is not a regular file"), err)
	}
	return io.ReadAll(f)
}

// commit makes an image with one more layer, which has the results.
func (h *scanned) commit(ctx context.Context, o *Options, b *buildah.Builder, bill, purls string) (string, error) {
	content := map[string]string{}
	for path, from := range map[string]string{h.scan.ImageSBOMOutput: bill, h.scan.ImagePURLOutput: purls} {
		if path != "" {
			content[strings.TrimPrefix(filepath.Clean("/"+path), "/")] = from
		}
	}
	b.SetCreatedBy("berth build --sbom")
	r, err := b.CommitResults(ctx, types.ImageReference(nil), buildah.CommitOptions{
		PreferredManifestType: o.OutputFormat, SystemContext: o.SystemContext, Squash: o.Squash, EmptyLayer: true, ExtraImageContent: content,
		HistoryTimestamp: o.Timestamp, SourceDateEpoch: o.SourceDateEpoch, RewriteTimestamp: o.RewriteTimestamp, CreatedAnnotation: o.CreatedAnnotation,
		OmitHistory: o.CommonBuildOpts.OmitHistory,
	})
	if err != nil {
		return "", err
	}
	if h.meta != "" {
		data, err := json.Marshal(r.Metadata)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(h.meta, data, 0o644); err != nil {
			return "", err
		}
	}
	return r.ImageID, nil
}

// tell says what the result is, as buildah does of a build that is not scanned.
func (h *scanned) tell(id string, t *tracker) error {
	for _, n := range h.names {
		t.tell(Tagged, n, "")
	}
	if h.iid == "" && h.raw == "" {
		t.tell(Built, "", id)
	}
	for path, text := range map[string]string{h.iid: "sha256:" + id, h.raw: id} {
		if path != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return fmt.Errorf("write the image's ID: %w", err)
			}
		}
	}
	return nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o644)
}
