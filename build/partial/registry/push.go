// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build/partial"

	"github.com/Masterminds/semver/v3"
)

// YankArtifactType is the type of the marker that [Library.Yank] leaves.
const YankArtifactType = "application/vnd.partials.yank.v1"

// PushOptions are those of Push.
type PushOptions struct {
	// Convenience also sets the tags MAJOR.MINOR, MAJOR and latest, where this is the highest release
	// of that series. They are for people: solving never reads them.
	Convenience bool
	// Index also writes the part into PREFIX/index:latest, which search reads. PREFIX is the repository without
	// its last component.
	Index bool
	// SignKey is the file of a sigstore private key to sign with, as cosign and skopeo make them; "" does not sign.
	SignKey    string
	Passphrase []byte // of the key
}

// Push publishes a part in the registry that ref names, and returns its digest. A version is published once: the
// same part again is no error and changes nothing, another one is P064.
func (l *Library) Push(ctx context.Context, ref partial.Ref, p *partial.Part, opts PushOptions) (string, error) {
	loc, e, err := l.target(ref)
	if err != nil {
		return "", err
	}
	pk, err := p.Pack()
	if err != nil {
		return "", fmt.Errorf("pack %s: %w", p.Meta.Name, err)
	}
	version := p.Meta.Version
	have, err := l.digest(ctx, loc, version)
	var missing *partial.Error
	switch {
	case err == nil && have != pk.Digest:
		return "", partial.Errorf("P064", "%s %s already exists with another digest; raise the version", loc.ref, version)
	case err != nil && !(errors.As(err, &missing) && missing.Code == "P022"):
		return "", err
	case err != nil:
		if err := e.publish(ctx, loc, version, pk.Manifest, pk.Blobs); err != nil {
			return "", err
		}
		// Two who push at once see who was last.
		if have, err = l.digest(ctx, loc, version); err != nil {
			return "", err
		}
		if have != pk.Digest {
			return "", partial.Errorf("P064", "%s %s already exists with another digest; raise the version", loc.ref, version)
		}
	}
	l.forget(loc)
	if opts.SignKey != "" {
		if err := l.sign(ctx, loc, version, opts); err != nil {
			return "", err
		}
	}
	if opts.Convenience {
		if err := l.tagSeries(ctx, loc, e, version, pk.Manifest); err != nil {
			return "", err
		}
	}
	if opts.Index {
		return pk.Digest, l.addToIndex(ctx, loc, p, pk.Digest)
	}
	return pk.Digest, nil
}

// target finds the registry to write to.
func (l *Library) target(ref partial.Ref) (location, *endpoint, error) {
	loc, err := l.locate(ref)
	if err != nil {
		return loc, nil, err
	}
	if loc.kind != registry {
		return loc, nil, partial.Errorf("P022", "%s is no registry; parts are published as HOST/REPOSITORY/NAME", loc.ref)
	}
	if l.opts.Offline {
		return loc, nil, partial.Errorf("P052", "offline: cannot publish %s", loc.ref)
	}
	places, err := l.sources(loc.path)
	if err != nil {
		return loc, nil, err
	}
	return loc, places[len(places)-1], nil
}

// forget drops what was known of a location that was written to.
func (l *Library) forget(loc location) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.lists, loc.key())
}

// publish uploads blobs and then the manifest, by its digest if tag is "".
func (e *endpoint) publish(ctx context.Context, loc location, tag string, manifest []byte, blobs map[string][]byte) error {
	for _, data := range blobs {
		if err := e.putBlob(ctx, data); err != nil {
			return fmt.Errorf("send a blob: %w", explainPush(ctx, loc, err))
		}
	}
	if err := e.putManifest(ctx, tag, manifest); err != nil {
		return fmt.Errorf("send the manifest: %w", explainPush(ctx, loc, err))
	}
	return nil
}

// explainPush is explain for one who writes.
func explainPush(ctx context.Context, loc location, err error) error {
	err = explain(ctx, loc, err)
	var refused *partial.Error
	if errors.As(err, &refused) {
		return partial.Errorf("P022", "%s: the registry refuses to take it; log in, or check the name (%s)", loc.ref, refused.Msg)
	}
	return err
}

func (l *Library) tagSeries(ctx context.Context, loc location, e *endpoint, version string, manifest []byte) error {
	v, err := semver.StrictNewVersion(version)
	if err != nil || v.Prerelease() != "" {
		return err
	}
	list, err := l.tags(ctx, loc)
	if err != nil {
		return err
	}
	series := map[string]bool{fmt.Sprintf("%d.%d", v.Major(), v.Minor()): true, fmt.Sprint(v.Major()): true, "latest": true}
	for _, r := range list {
		o, err := semver.StrictNewVersion(r.Version)
		if err != nil || r.Yanked || o.Prerelease() != "" || !o.GreaterThan(v) {
			continue
		}
		series["latest"] = false
		if o.Major() == v.Major() {
			series[fmt.Sprint(v.Major())] = false
			if o.Minor() == v.Minor() {
				series[fmt.Sprintf("%d.%d", v.Major(), v.Minor())] = false
			}
		}
	}
	for tag, mine := range series {
		if !mine {
			continue
		}
		if err := e.publish(ctx, loc, tag, manifest, nil); err != nil {
			return err
		}
	}
	return nil
}

// Yank marks a published version as not to be chosen any more, except where it is locked. It writes a tag
// yanked-VERSION, whose manifest has the reason and the version's manifest as its subject; the version itself
// is left alone, so that locks stay true.
func (l *Library) Yank(ctx context.Context, ref partial.Ref, version, reason string) error {
	loc, e, err := l.target(ref)
	if err != nil {
		return err
	}
	subject, _, err := e.manifest(ctx, version)
	if err != nil {
		return explain(ctx, loc, err)
	}
	if _, err := partManifest(subject); err != nil || !isRelease(version) {
		return partial.Errorf("P022", "part %s %s not found (what is there is no part)", loc.ref, version)
	}
	if reason == "" {
		reason = "true"
	}
	empty := []byte("{}")
	m := manifest{
		SchemaVersion: 2, MediaType: manifestType, ArtifactType: YankArtifactType,
		Config:      describe(YankArtifactType, "", empty),
		Layers:      []descriptor{describe("application/vnd.oci.empty.v1+json", "", empty)},
		Subject:     &descriptor{MediaType: manifestType, Digest: digestOf(subject), Size: int64(len(subject))},
		Annotations: map[string]string{annotationYanked: reason},
	}
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	l.forget(loc)
	return e.publish(ctx, loc, yankedTag+version, data, map[string][]byte{digestOf(empty): empty})
}

// Unyank takes the mark of [Library.Yank] away again. A registry that deletes nothing cannot do it.
func (l *Library) Unyank(ctx context.Context, ref partial.Ref, version string) error {
	loc, e, err := l.target(ref)
	if err != nil {
		return err
	}
	tag := yankedTag + version
	mark, err := l.digest(ctx, loc, tag)
	var missing *partial.Error
	if errors.As(err, &missing) && missing.Code == "P022" {
		return partial.Errorf("P022", "%s %s is not yanked", loc.ref, version)
	}
	if err != nil {
		return err
	}
	// The specification lets a tag be deleted; distribution 2 only deletes what a digest names, and the tag with it.
	for _, what := range []string{tag, mark} {
		if err = e.deleteManifest(ctx, what); err == nil {
			if _, err := e.digest(ctx, tag); isMissing(err) {
				break
			}
		}
	}
	l.forget(loc)
	if _, gone := e.digest(ctx, tag); isMissing(gone) {
		return nil
	}
	if err == nil {
		err = errors.New("it is there still")
	}
	return fmt.Errorf("remove the tag %s of %s, which marks it as yanked: %w", tag, loc.path, err)
}
