// SPDX-License-Identifier: Apache-2.0

// Package registry is where parts come from and go to: folders, OCI registries, git repositories and archives
// behind https. [Library] is the real partial.Library; it also publishes parts, and the record of a
// build next to its image.
//
// Words: a location is a reference with its alias replaced; the store is the OCI layout of parts that were fetched, which is
// all there is when offline; a record is what composition leaves of a build (composed file,
// lock, source), attached to the image as a referrer (OCI 1.1).
//
// What arrives is not trusted: sizes are bounded before memory is used, digests are compared before content is read,
// archives may hold nothing but small files at plain paths, and a registry is spoken to over http only where
// registries.conf says that it is insecure.
//
// How one logs in, and over which scheme, is go-containerregistry's business (its package transport): credentials go to the registry
// and to a token server that it may name, never where a redirect leads, and not to a token server at a private address that is not the
// registry's own. The requests above that are made here. The library's own are stricter than registries are (referrers only where the answer is as
// the specification has it today), say of a wrong digest that it is some error (it is P051 here), and lose one of two records that
// are attached at the same time in a registry without the referrers API. oras-go was looked at as well: 2.6.4 refuses every token server
// whose name leads to a private address, as that of a GitLab within a company does, and 2.6.2 is without its fixes for redirected credentials.
package registry
