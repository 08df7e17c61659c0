// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
)

func (e *endpoint) url(rest string) string { return "/v2/" + e.path + rest }

const acceptManifests = manifestType + ", " + indexType +
	", application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

// isMissing reports whether the registry said that something is not there.
func isMissing(err error) bool {
	var status *statusError
	return errors.As(err, &status) && status.code == http.StatusNotFound
}

// tags lists all tags.
func (e *endpoint) tags(ctx context.Context) ([]string, error) {
	var tags []string
	next := e.url("/tags/list?n=1000")
	for range 1000 {
		a, err := e.do(ctx, request{method: http.MethodGet, path: next})
		if err != nil {
			return nil, err
		}
		var page struct{ Tags []string }
		if err := json.Unmarshal(a.body, &page); err != nil {
			return nil, fmt.Errorf("read the list of tags: %w", err)
		}
		tags = append(tags, page.Tags...)
		if next = e.nextPage(a); next == "" {
			break
		}
	}
	return tags, nil
}

// nextPage reads the Link header of a list; "" after the last page. It stays at the registry.
func (e *endpoint) nextPage(a *reply) string {
	link, params, _ := strings.Cut(a.header.Get("Link"), ";")
	if !strings.Contains(params, "next") {
		return ""
	}
	u, err := a.url.Parse(strings.Trim(strings.TrimSpace(link), "<>"))
	if err != nil || u.Host != a.url.Host {
		return ""
	}
	return u.RequestURI()
}

// manifest returns the manifest that a tag or digest names. One that is asked for by its digest has it.
func (e *endpoint) manifest(ctx context.Context, ref string) (data []byte, mediaType string, err error) {
	a, err := e.do(ctx, request{method: http.MethodGet, path: e.url("/manifests/" + ref), header: map[string]string{"Accept": acceptManifests}})
	if err != nil {
		return nil, "", err
	}
	if is := digestOf(a.body); isDigest(ref) && is != ref {
		return nil, "", partial.Errorf("P051", "manifest %s: what the registry sent has the digest %s", ref, is)
	}
	return a.body, a.header.Get("Content-Type"), nil
}

// digest returns the digest that a tag has now.
func (e *endpoint) digest(ctx context.Context, tag string) (string, error) {
	a, err := e.do(ctx, request{method: http.MethodHead, path: e.url("/manifests/" + tag), header: map[string]string{"Accept": acceptManifests}})
	if err != nil {
		return "", err
	}
	if d := a.header.Get("Docker-Content-Digest"); isDigest(d) {
		return d, nil
	}
	data, _, err := e.manifest(ctx, tag)
	return digestOf(data), err
}

// deleteManifest removes what a tag or a digest names.
func (e *endpoint) deleteManifest(ctx context.Context, ref string) error {
	_, err := e.do(ctx, request{method: http.MethodDelete, path: e.url("/manifests/" + ref), push: true})
	return err
}

// blob returns the bytes of a blob; the caller checks them.
func (e *endpoint) blob(ctx context.Context, digest string) ([]byte, error) {
	a, err := e.do(ctx, request{method: http.MethodGet, path: e.url("/blobs/" + digest)})
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// putBlob uploads a blob that is not there yet.
func (e *endpoint) putBlob(ctx context.Context, data []byte) error {
	digest := digestOf(data)
	if _, err := e.do(ctx, request{method: http.MethodHead, path: e.url("/blobs/" + digest), push: true}); err == nil {
		return nil
	}
	a, err := e.do(ctx, request{method: http.MethodPost, path: e.url("/blobs/uploads/"), push: true})
	if err != nil {
		return err
	}
	to, err := a.url.Parse(a.header.Get("Location"))
	if err != nil || a.header.Get("Location") == "" {
		return fmt.Errorf("the registry does not say where to upload to (%q)", a.header.Get("Location"))
	}
	q := to.Query()
	q.Set("digest", digest)
	to.RawQuery = q.Encode()
	_, err = e.do(ctx, request{
		method: http.MethodPut, path: to.String(), body: data, push: true,
		header: map[string]string{"Content-Type": "application/octet-stream"},
	})
	return err
}

// putManifest uploads a manifest under a tag, or under its digest if tag is "". If it has a subject and the
// registry does not say that it keeps referrers (no OCI-Subject), the tag that stands in for the list is written.
func (e *endpoint) putManifest(ctx context.Context, tag string, data []byte) error {
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if tag == "" {
		tag = digestOf(data)
	}
	a, err := e.do(ctx, request{
		method: http.MethodPut, path: e.url("/manifests/" + tag), body: data, push: true,
		header: map[string]string{"Content-Type": m.MediaType},
	})
	if err != nil || m.Subject == nil || a.header.Get("OCI-Subject") != "" {
		return err
	}
	d := descriptor{MediaType: m.MediaType, ArtifactType: m.ArtifactType, Digest: digestOf(data), Size: int64(len(data)), Annotations: m.Annotations}
	return e.addReferrer(ctx, m.Subject.Digest, d)
}

// fallbackTag is the tag that lists the referrers of a manifest (distribution-spec, "Referrers Tag Schema").
func fallbackTag(digest string) string { return strings.Replace(digest, ":", "-", 1) }

func (e *endpoint) addReferrer(ctx context.Context, subject string, d descriptor) error {
	if _, err := e.do(ctx, request{method: http.MethodGet, path: e.url("/referrers/" + subject)}); err == nil {
		return nil // it has the API, only no header
	}
	for range 5 {
		list, err := e.fallback(ctx, subject)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(list, func(o descriptor) bool { return o.Digest == d.Digest }) {
			return nil // also what a second look finds after writing, if nobody wrote meanwhile
		}
		index := layoutIndex{SchemaVersion: 2, MediaType: indexType, Manifests: append(list, d)}
		data, err := json.Marshal(index)
		if err != nil {
			return err
		}
		_, err = e.do(ctx, request{
			method: http.MethodPut, path: e.url("/manifests/" + fallbackTag(subject)), body: data, push: true,
			header: map[string]string{"Content-Type": indexType},
		})
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("write the list of referrers of %s: others write it all the time", subject)
}

func (e *endpoint) fallback(ctx context.Context, subject string) ([]descriptor, error) {
	data, _, err := e.manifest(ctx, fallbackTag(subject))
	if isMissing(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var x layoutIndex
	if err := json.Unmarshal(data, &x); err != nil || x.MediaType != indexType {
		return nil, fmt.Errorf("read the list of referrers of %s: it is no index (%w)", subject, err)
	}
	return x.Manifests, nil
}

// referrers lists the manifests that have subject as theirs, by the API where there is one and by the tag otherwise.
func (e *endpoint) referrers(ctx context.Context, subject, artifactType string) ([]descriptor, error) {
	var all []descriptor
	next := e.url("/referrers/" + subject + "?artifactType=" + url.QueryEscape(artifactType))
	for range 1000 {
		a, err := e.do(ctx, request{method: http.MethodGet, path: next, header: map[string]string{"Accept": indexType}})
		var status *statusError
		if errors.As(err, &status) && status.code < 500 && status.code != http.StatusUnauthorized && status.code != http.StatusForbidden {
			return e.fallback(ctx, subject)
		}
		if err != nil {
			return nil, err
		}
		var page layoutIndex
		if !strings.HasPrefix(a.header.Get("Content-Type"), indexType) || json.Unmarshal(a.body, &page) != nil {
			return e.fallback(ctx, subject) // something else answers at that path
		}
		all = append(all, page.Manifests...)
		if next = e.nextPage(a); next == "" {
			break
		}
	}
	return all, nil
}
