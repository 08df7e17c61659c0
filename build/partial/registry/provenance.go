// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// statement is what is read of an in-toto statement with SLSA provenance, of version 0.2 or 1, as BuildKit writes it
// (moby/buildkit, docs/attestations/slsa-provenance.md).
type statement struct {
	Predicate struct {
		Invocation struct {
			ConfigSource struct{ EntryPoint string }
		}
		BuildDefinition struct {
			ExternalParameters struct{ ConfigSource struct{ Path string } }
		}
		Metadata   map[string]json.RawMessage
		RunDetails struct {
			Metadata struct {
				BuildKit json.RawMessage `json:"buildkit_metadata"`
			}
		}
	}
}

// buildkitMetadata is the part of it that is BuildKit's own; only mode=max has the sources.
type buildkitMetadata struct {
	Source struct {
		Infos []struct {
			Filename string
			Language string
			Data     []byte
		}
	}
}

// Provenance returns the container file in the provenance that BuildKit attached to an image of a registry, if the name
// leads to an index that has one for the manifest with this digest; "" if not.
func (l *Library) Provenance(ctx context.Context, image, digest string) (string, error) {
	if l.opts.Offline {
		return "", nil
	}
	loc, e, ref, err := l.image(image)
	if err != nil {
		return "", err
	}
	data, _, err := e.manifest(ctx, ref)
	if err != nil {
		return "", explain(ctx, loc, err)
	}
	var x layoutIndex
	if err := json.Unmarshal(data, &x); err != nil {
		return "", fmt.Errorf("read manifest %s: %w", image, err)
	}
	for _, d := range x.Manifests {
		if d.Annotations["vnd.docker.reference.type"] != "attestation-manifest" || d.Annotations["vnd.docker.reference.digest"] != digest || !isDigest(d.Digest) {
			continue
		}
		text, err := e.provenanceOf(ctx, d)
		if err != nil || text != "" {
			return text, err
		}
	}
	return "", nil
}

func (e *endpoint) provenanceOf(ctx context.Context, d descriptor) (string, error) {
	data, _, err := e.manifest(ctx, d.Digest)
	if err != nil {
		return "", err
	}
	if digestOf(data) != d.Digest {
		return "", fmt.Errorf("read the attestation %s: what came has another digest", d.Digest)
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return "", fmt.Errorf("read the attestation %s: %w", d.Digest, err)
	}
	for _, layer := range m.Layers {
		if !strings.HasPrefix(layer.Annotations["in-toto.io/predicate-type"], "https://slsa.dev/provenance/") || layer.Size > maxReply || !isDigest(layer.Digest) {
			continue
		}
		body, err := e.blob(ctx, layer.Digest)
		if err != nil {
			return "", err
		}
		if err := layer.check(body); err != nil {
			return "", fmt.Errorf("read the provenance: %w", err)
		}
		if text, err := containerfileOf(body); err != nil || text != "" {
			return text, err
		}
	}
	return "", nil
}

// containerfileOf finds the container file in a statement; "" if it has none.
func containerfileOf(data []byte) (string, error) {
	var s statement
	if err := json.Unmarshal(data, &s); err != nil {
		return "", fmt.Errorf("read the provenance: %w", err)
	}
	p := &s.Predicate
	raw, entry := p.Metadata["https://mobyproject.org/buildkit@v1#metadata"], p.Invocation.ConfigSource.EntryPoint
	if raw == nil {
		raw, entry = p.RunDetails.Metadata.BuildKit, p.BuildDefinition.ExternalParameters.ConfigSource.Path
	}
	if raw == nil {
		return "", nil
	}
	var b buildkitMetadata
	if err := json.Unmarshal(raw, &b); err != nil {
		return "", fmt.Errorf("read the provenance: %w", err)
	}
	found := ""
	for _, i := range b.Source.Infos {
		if i.Language != "" && i.Language != "Dockerfile" {
			continue
		}
		if i.Filename == entry {
			return string(i.Data), nil
		}
		if found == "" {
			found = string(i.Data)
		}
	}
	return found, nil
}
