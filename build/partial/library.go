// SPDX-License-Identifier: Apache-2.0

package partial

import "context"

// Library is where parts come from: folders, registries, git. Its errors are of the catalogue
// (P022, P052, P060 to P063), and it verifies every digest. One that also has a method
// IsLocal(Ref) bool tells which parts lie in folders, where a change is no tampering.
type Library interface {
	// Releases lists the versions of the part that ref leads to, in any order.
	Releases(ctx context.Context, ref Ref) ([]Release, error)
	// Meta returns the metadata of one release; a body need not be fetched for it.
	Meta(ctx context.Context, ref Ref, r Release) (*Meta, error)
	// Part returns a release. With r.Digest set it is that one, wherever it is stored by now.
	Part(ctx context.Context, ref Ref, r Release) (*Part, error)
	// Providers names the parts that are known to provide a capability; it may know none.
	Providers(ctx context.Context, capability string) ([]string, error)
}

// Release is a published version of a part.
type Release struct {
	Version string // empty where only the digest is known
	Digest  string // of the artifact's manifest
	Yanked  bool
}
